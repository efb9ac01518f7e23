//! Any bytes as a stored event. What decodes can be shown and encoded.

#![no_main]

use chinwag_store::record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(event) = record::decode(input) {
        assert!(record::is_record(input));
        let _any_bytes_are_trusted_in_records = event.to_json();
        let _tail = record::tail(
            event.sender.as_ref(),
            event.client.as_ref(),
            event.id.as_ref(),
            &event.content,
        );
    }
});
