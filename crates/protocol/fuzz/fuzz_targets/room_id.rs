//! Any text as ids. What is taken is short and harmless in a Redis key.

#![no_main]

use chinwag_protocol::id::{MessageId, RoomId, UserId};
use libfuzzer_sys::fuzz_target;

fn harmless(text: &str, most: usize) {
    assert!((1..=most).contains(&text.len()));
    assert!(
        !text
            .bytes()
            .any(|byte| !byte.is_ascii_graphic() || b"{}*?[]\\".contains(&byte))
    );
}

fuzz_target!(|text: &str| {
    if let Ok(room) = RoomId::new(text) {
        harmless(room.as_str(), 128);
        assert!(room.as_str().starts_with(room.namespace()));
        if let Some((low, high)) = room.direct_pair() {
            assert_eq!(RoomId::direct(&high, &low), room);
        }
    }
    if let Ok(user) = UserId::new(text) {
        harmless(user.as_str(), 60);
        assert_eq!(
            RoomId::personal(&user).personal_owner(),
            Some(user.as_str())
        );
    }
    if let Ok(user) = UserId::registered(text) {
        harmless(user.as_str(), 32);
        assert_eq!(UserId::registered(user.as_str()), Ok(user));
    }
    if let Ok(id) = MessageId::new(text) {
        harmless(id.as_str(), 64);
    }
});
