//! Taking back what somebody else added to an object.

use serde_json::{Map, Value};

/// The merge patch (RFC 7386) that makes `standing` into `wanted`: what is wanted, and `null` for every other member.
pub(super) fn undo(standing: &Value, wanted: &Value) -> Value {
    let (Value::Object(standing), Value::Object(wanted)) = (standing, wanted) else { return wanted.clone() };
    let surplus = standing.keys().filter(|name| !wanted.contains_key(*name)).map(|name| (name.clone(), Value::Null));
    let kept =
        wanted.iter().map(|(name, value)| (name.clone(), undo(standing.get(name).unwrap_or(&Value::Null), value)));
    Value::Object(surplus.chain(kept).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::undo;

    #[test]
    fn what_is_not_wanted_becomes_null_at_every_depth() {
        let standing =
            json!({"tls": {"options": {"name": "old"}, "certResolver": "le"}, "parentRefs": [], "routes": [1, 2]});
        let wanted = json!({"tls": {"certResolver": "le"}, "routes": [1]});
        let expected = json!({"tls": {"options": null, "certResolver": "le"}, "parentRefs": null, "routes": [1]});
        assert_eq!(undo(&standing, &wanted), expected);
        assert_eq!(undo(&standing, &json!({"routes": []})), json!({"tls": null, "parentRefs": null, "routes": []}));
    }
}
