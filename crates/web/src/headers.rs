/// What every answer with an asset carries besides its type and tag.
///
/// The page is written so that the strictest policy fits: no script or style within the markup, nothing from elsewhere,
/// and no text ever parsed as markup, which `require-trusted-types-for` has the browser enforce.
pub const HEADERS: [(&str, &str); 5] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    // The names carry no version, so a browser asks each time; unchanged files cost it a 304.
    ("cache-control", "no-cache"),
];

/// `connect-src 'self'` includes WebSockets to the page's own host and nothing beyond it: a script that got in could not
/// even tell anyone what it found.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_inline_and_nothing_from_elsewhere() {
        assert!(POLICY.starts_with("default-src 'none';"));
        for door in [
            "unsafe-inline",
            "unsafe-eval",
            "http:",
            "https:",
            "ws:",
            "*",
            "data:",
        ] {
            assert!(!POLICY.contains(door), "{door}");
        }
    }

    #[test]
    fn fits_into_headers() {
        for (name, value) in HEADERS {
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
                "{name}"
            );
            assert!(
                value.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{value}"
            );
        }
    }
}
