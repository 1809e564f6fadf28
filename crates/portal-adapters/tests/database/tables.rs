//! Tables as a database describes them, in words that both databases share.

use std::collections::{BTreeMap, BTreeSet};

use diesel::sql_types::{Bool, Nullable, Text};
use diesel::{Connection, QueryableByName, SqliteConnection};

/// Every table by name.
pub(crate) type Tables = BTreeMap<String, Table>;
/// The names of columns, in the order that matters to whoever lists them.
pub(crate) type Columns = Vec<String>;

/// Columns and constraints of a table.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// Type, in diesel's words, and whether it may be null.
    pub(crate) columns: BTreeMap<String, (String, bool)>,
    pub(crate) primary_key: Columns,
    pub(crate) unique: BTreeSet<Columns>,
    pub(crate) indexes: BTreeSet<Columns>,
    /// Columns, table referred to, and what happens when its row is deleted.
    pub(crate) foreign_keys: BTreeSet<(Columns, String, String)>,
}

/// The table in which diesel notes which migrations ran.
const BOOK: &str = "__diesel_schema_migrations";

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    of_table: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
}

#[derive(QueryableByName)]
struct Key {
    #[diesel(sql_type = Text)]
    table_name: String,
    /// `p`rimary, `u`nique, `f`oreign or plain `i`ndex.
    #[diesel(sql_type = Text)]
    kind: String,
    /// Joined by commas, in their order.
    #[diesel(sql_type = Text)]
    columns: String,
    #[diesel(sql_type = Nullable<Text>)]
    refers_to: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    on_delete: Option<String>,
}

const SQLITE_COLUMNS: &str = "
    select t.name as of_table, c.name, c.\"notnull\" = 0 as nullable,
           case when lower(c.type) = 'integer' and c.pk = 1 then 'rowid' else lower(c.type) end as kind
    from pragma_table_list t join pragma_table_info(t.name) c
    where t.schema = 'main' and t.type = 'table' and t.name not like 'sqlite_%'";

const SQLITE_KEYS: &str = "
    select t.name as table_name, 'p' as kind, null as refers_to, null as on_delete,
           (select group_concat(name) from (select name from pragma_table_info(t.name) where pk > 0 order by pk)) as columns
    from pragma_table_list t where t.schema = 'main' and t.type = 'table' and t.name not like 'sqlite_%'
    union all
    select t.name, case when i.\"unique\" then 'u' else 'i' end, null, null,
           (select group_concat(name) from (select name from pragma_index_info(i.name) order by seqno))
    from pragma_table_list t join pragma_index_list(t.name) i where i.origin != 'pk' and t.name not like 'sqlite_%'
    union all
    select t.name, 'f', f.\"table\", lower(f.on_delete), group_concat(f.\"from\")
    from pragma_table_list t join pragma_foreign_key_list(t.name) f where t.name not like 'sqlite_%'
    group by t.name, f.id";

const POSTGRES_COLUMNS: &str = "
    select table_name::text as of_table, column_name::text as name, is_nullable = 'YES' as nullable, data_type::text as kind
    from information_schema.columns where table_schema = 'public'";

const POSTGRES_KEYS: &str = "
    select r.relname::text as table_name, c.contype::text as kind,
           (select string_agg(a.attname, ',' order by k.place) from unnest(c.conkey) with ordinality k(n, place)
            join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.n) as columns,
           f.relname::text as refers_to,
           case c.confdeltype when 'a' then 'no action' when 'c' then 'cascade' when 'r' then 'restrict'
                              when 'n' then 'set null' when 'd' then 'set default' end as on_delete
    from pg_constraint c join pg_class r on r.oid = c.conrelid left join pg_class f on f.oid = c.confrelid
    where c.connamespace = 'public'::regnamespace and c.contype in ('p', 'u', 'f')
    union all
    select r.relname::text, case when i.indisunique then 'u' else 'i' end,
           (select string_agg(a.attname, ',' order by k.place) from unnest(i.indkey) with ordinality k(n, place)
            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n), null, null
    from pg_index i join pg_class r on r.oid = i.indrelid
    where r.relnamespace = 'public'::regnamespace and not i.indisprimary
          and not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype = 'u')";

/// The tables in a SQLite file.
pub(crate) fn on_sqlite(path: &str) -> Tables {
    use diesel::RunQueryDsl;
    let mut conn = SqliteConnection::establish(path).unwrap();
    let columns = diesel::sql_query(SQLITE_COLUMNS).load(&mut conn).unwrap();
    let keys = diesel::sql_query(SQLITE_KEYS).load(&mut conn).unwrap();
    assemble(columns, keys)
}

/// The tables in a PostgreSQL database.
pub(crate) async fn on_postgres(url: &str) -> Tables {
    use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
    let mut conn = AsyncPgConnection::establish(url).await.unwrap();
    let columns = diesel::sql_query(POSTGRES_COLUMNS).load(&mut conn).await.unwrap();
    let keys = diesel::sql_query(POSTGRES_KEYS).load(&mut conn).await.unwrap();
    assemble(columns, keys)
}

fn assemble(columns: Vec<Column>, keys: Vec<Key>) -> Tables {
    let mut tables = Tables::new();
    for column in columns {
        let table = tables.entry(column.of_table).or_default();
        table.columns.insert(column.name, (in_diesels_words(&column.kind), column.nullable));
    }
    for key in keys {
        let table = tables.entry(key.table_name).or_default();
        let columns: Columns = key.columns.split(',').map(str::to_owned).collect();
        match &*key.kind {
            "p" => table.primary_key = columns,
            "u" => drop(table.unique.insert(columns)),
            "f" => {
                let (refers_to, on_delete) = (key.refers_to.unwrap(), key.on_delete.unwrap());
                table.foreign_keys.insert((columns, refers_to, on_delete));
            }
            _ => drop(table.indexes.insert(columns)),
        }
    }
    tables.remove(BOOK);
    tables
}

/// SQLite calls every whole number that is a row's key an integer, which is why `Integer` and `BigInt` are one here.
fn in_diesels_words(kind: &str) -> String {
    match kind {
        "text" => "Text",
        "boolean" => "Bool",
        "rowid" | "integer" | "bigint" => "whole number",
        "timestamp" | "timestamp without time zone" => "Timestamp",
        "json" => "Json",
        "blob" | "bytea" => "Binary",
        other => other,
    }
    .to_owned()
}

/// The tables as `src/db/schema/*.rs` declares them: columns, types, nullability and primary keys.
pub(crate) fn as_declared() -> Tables {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/db/schema");
    let sources = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    sources.flat_map(|source| declared_in(&source)).collect()
}

/// Reads `name (key, ..) { column -> Type, .. }` out of each `table!`.
fn declared_in(source: &str) -> Tables {
    let declarations = source.split("diesel::table! {").skip(1);
    let read = |declaration: &str| {
        let (head, rest) = declaration.split_once('{').unwrap();
        let (name, key) = head.trim().strip_suffix(')').unwrap().split_once('(').unwrap();
        let (body, _) = rest.split_once('}').unwrap();
        let columns = body.split_terminator(',').filter_map(|line| line.split_once("->")).map(|(column, kind)| {
            let kind = kind.trim();
            let inner = kind.strip_prefix("Nullable<").and_then(|kind| kind.strip_suffix('>'));
            let whole = matches!(inner.unwrap_or(kind), "Integer" | "BigInt");
            let kind_word = if whole { "whole number" } else { inner.unwrap_or(kind) };
            // A column that is called otherwise in code says its own name before it.
            let own = column.split_once("sql_name = \"").and_then(|(_, rest)| rest.split('"').next());
            let column = own.or_else(|| column.lines().last()).unwrap_or_default().trim();
            (column.to_owned(), (kind_word.to_owned(), inner.is_some()))
        });
        let primary_key = key.split(',').map(|column| column.trim().to_owned()).collect();
        (name.trim().to_owned(), Table { columns: columns.collect(), primary_key, ..Table::default() })
    };
    declarations.map(read).collect()
}
