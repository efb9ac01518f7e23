//! What somebody may have meant.

/// The candidate that is most like `given`, if any is like it: a few letters apart, or the same
/// key in another section.
pub fn nearest<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const MOST_EDITS: usize = 3;
    // Between short names a few letters are all the difference there is.
    let most = MOST_EDITS.min(given.len() / 3);
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let wanted = last(given);
    candidates
        .map(|candidate| {
            let edits = strsim::osa_distance(given, candidate);
            (
                if last(candidate) == wanted {
                    edits.min(most)
                } else {
                    edits
                },
                candidate,
            )
        })
        .filter(|(edits, _)| *edits <= most)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// "; did you mean ...?", or nothing.
pub fn hint<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    nearest(given, candidates)
        .map(|name| format!("; did you mean {name}?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_if_one_is_near() {
        let names = ["gateway.listen", "admin.listen", "redis.url", "archive.url"];
        let check = |given: &str, expected: Option<&str>| {
            assert_eq!(nearest(given, names.into_iter()), expected, "{given}");
        };
        check("gateway.listn", Some("gateway.listen"));
        check("gatway.listen", Some("gateway.listen"));
        check("redis.ulr", Some("redis.url"));
        check("listen", Some("gateway.listen"));
        check("something.else", None);
        check("sql", None);
    }
}
