//! A zone that refuses what the real one refuses.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

/// Result of a call: the envelope of a success, or a status and its errors.
type Outcome = Result<Value, (u16, Value)>;

/// A zone and its records, oldest first.
pub(super) struct Zone {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) records: Vec<Value>,
    made: usize,
}

impl Zone {
    /// An empty zone; the index tells zones' ids apart.
    pub(super) fn new(index: usize, name: &str) -> Self {
        Self { id: format!("{index:032x}"), name: name.to_owned(), records: Vec::new(), made: 0 }
    }

    /// Adds a record without applying any rule; returns its id.
    pub(super) fn put(&mut self, record: Value) -> String {
        self.made += 1;
        let id = format!("{}{:04x}", self.id.split_at(28).1, self.made);
        let mut stored = Map::from_iter([("id".to_owned(), json!(id)), ("comment".to_owned(), Value::Null)]);
        if let Value::Object(members) = record {
            stored.extend(members);
        }
        self.records.push(Value::Object(stored));
        id
    }

    /// Removes a record.
    pub(super) fn delete(&mut self, id: &str) -> Option<Value> {
        let index = self.records.iter().position(|record| record["id"] == id)?;
        Some(self.records.remove(index))
    }

    /// Sets one member of a record.
    pub(super) fn edit(&mut self, id: &str, member: &str, value: &Value) -> bool {
        let found = self.records.iter_mut().find(|record| record["id"] == id);
        found.is_some_and(|record| {
            record[member] = value.clone();
            true
        })
    }

    /// Performs a call on this zone.
    pub(super) fn perform(&mut self, method: &str, path: &[&str], query: &str, body: &Value) -> Outcome {
        match (method, path) {
            ("GET", ["dns_records"]) => Ok(self.list(query)),
            ("POST", ["dns_records"]) => self.create(body),
            ("POST", ["dns_records", "batch"]) => self.batch(body),
            ("PATCH", ["dns_records", id]) => self.update(id, body),
            ("DELETE", ["dns_records", id]) => self
                .delete(id)
                .map(|_| success(&json!({"id": id})))
                .ok_or_else(|| refusal(404, 81044, "Record does not exist.")),
            _ => Err(refusal(405, 10405, "Method not allowed for this authentication scheme")),
        }
    }

    fn list(&self, query: &str) -> Value {
        let number =
            |name: &str, default: usize| parameter(query, name).and_then(|it| it.parse().ok()).unwrap_or(default);
        let (page, per_page) = (number("page", 1).max(1), number("per_page", 100).clamp(1, 5000));
        let name = parameter(query, "name");
        let all: Vec<_> =
            self.records.iter().filter(|it| name.as_ref().is_none_or(|name| it["name"] == **name)).collect();
        let result: Vec<_> = all.iter().skip((page - 1) * per_page).take(per_page).collect();
        let pages = all.len().div_ceil(per_page);
        let info = json!({"page": page, "per_page": per_page, "count": result.len(), "total_count": all.len(), "total_pages": pages});
        json!({"success": true, "errors": [], "messages": [], "result": result, "result_info": info})
    }

    fn create(&mut self, body: &Value) -> Outcome {
        self.check(body, None)?;
        let id = self.put(body.clone());
        Ok(success(self.records.iter().find(|record| record["id"] == *id).unwrap_or(&Value::Null)))
    }

    fn update(&mut self, id: &str, body: &Value) -> Outcome {
        let Some(index) = self.records.iter().position(|record| record["id"] == *id) else {
            return Err(refusal(404, 81044, "Record does not exist."));
        };
        self.check(body, Some(id))?;
        let Some(Value::Object(record)) = self.records.get_mut(index) else { return Ok(Value::Null) };
        record.extend(body.as_object().cloned().unwrap_or_default());
        Ok(success(&Value::Object(record.clone())))
    }

    /// All or nothing, deletions first.
    fn batch(&mut self, body: &Value) -> Outcome {
        let before = self.records.clone();
        let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
        let deleted = list("deletes").iter().try_for_each(|it| {
            let id = it["id"].as_str().unwrap_or_default();
            self.delete(id).map(drop).ok_or_else(|| refusal(404, 81044, "Record does not exist."))
        });
        let done = deleted.and_then(|()| list("posts").iter().try_for_each(|it| self.create(it).map(drop)));
        if let Err(errors) = done {
            self.records = before;
            return Err(errors);
        }
        Ok(success(&json!({})))
    }

    /// The rules for a record that is to stand beside all others than `except`.
    fn check(&self, record: &Value, except: Option<&str>) -> Result<(), (u16, Value)> {
        check_content(record)?;
        let name = record["name"].as_str().unwrap_or_default();
        if name != self.name && !name.ends_with(&format!(".{}", self.name)) {
            return Err(invalid(9105, "DNS name is invalid."));
        }
        let is_address = |it: &Value| it["type"] == "A" || it["type"] == "AAAA";
        let beside = self.records.iter().filter(|it| it["name"] == *name && except.is_none_or(|id| it["id"] != *id));
        for other in beside {
            if other["type"] == record["type"] && other["content"] == record["content"] {
                return Err(refusal(400, 81058, "An identical record already exists."));
            }
            if record["type"] == "CNAME" && (is_address(other) || other["type"] == "CNAME") {
                return Err(refusal(400, 81053, "An A, AAAA, or CNAME record with that host already exists."));
            }
            if is_address(record) && other["type"] == "CNAME" {
                return Err(refusal(400, 81054, "A CNAME record with that host already exists."));
            }
        }
        Ok(())
    }
}

fn check_content(record: &Value) -> Result<(), (u16, Value)> {
    let content = record["content"].as_str().unwrap_or_default();
    let fits = match record["type"].as_str() {
        Some("A") => content.parse::<Ipv4Addr>().is_ok(),
        Some("AAAA") => content.parse::<Ipv6Addr>().is_ok(),
        _ => !content.is_empty(),
    };
    let ttl = record["ttl"].as_u64().unwrap_or_default();
    if !fits {
        return Err(invalid(9005, "Content for this record is invalid."));
    }
    if ttl != 1 && (record["proxied"] == true || !(30..=86_400).contains(&ttl)) {
        return Err(invalid(9021, "TTL must be between 60 and 86400 seconds, or 1 for Automatic."));
    }
    if record["comment"].as_str().is_some_and(|comment| comment.len() > 100) {
        return Err(invalid(9300, "DNS record has a comment exceeding the maximum length."));
    }
    Ok(())
}

/// One parameter of a query; the values used here need no decoding.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

fn success(result: &Value) -> Value {
    json!({"success": true, "errors": [], "messages": [], "result": result})
}

fn refusal(status: u16, code: u32, message: &str) -> (u16, Value) {
    (status, json!([{"code": code, "message": message}]))
}

fn invalid(code: u32, message: &str) -> (u16, Value) {
    let chain = json!([{"code": code, "message": message}]);
    (400, json!([{"code": 1004, "message": "DNS Validation Error", "error_chain": chain}]))
}
