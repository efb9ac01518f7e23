//! What a message costs on its way, outside Redis and the kernel: `cargo bench -p chinwag-benches`.

use chinwag_benches::{command_frame, event, push_of, record_of};
use chinwag_protocol::codec::{Encoding, Limits};
use chinwag_store::record;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// In: a frame becomes a command.
#[divan::bench]
fn decode_command(bencher: Bencher<'_, '_>) {
    let frame = command_frame();
    bencher.bench(|| {
        Encoding::Json
            .decode_commands(black_box(&frame), Limits::SERVER)
            .count()
    });
}

/// In: a message becomes the tail of a record.
#[divan::bench]
fn encode_tail(bencher: Bencher<'_, '_>) {
    let event = event();
    bencher.bench(|| {
        let (sender, client) = (event.sender.as_ref(), event.client.as_ref());
        record::tail(sender, client, event.id.as_ref(), black_box(&event.content))
    });
}

/// Out, once per gateway: a record becomes an event.
#[divan::bench]
fn decode_record(bencher: Bencher<'_, '_>) {
    let record = record_of(&event());
    bencher.bench(|| record::decode(black_box(&record)));
}

/// Out, once per gateway: an event becomes its JSON form.
#[divan::bench]
fn event_to_json(bencher: Bencher<'_, '_>) {
    let event = event();
    bencher.bench(|| black_box(&event).to_json());
}

/// Out, once per encoding: a push becomes bytes.
#[divan::bench(args = [Encoding::Json, Encoding::Protobuf])]
fn encode_push(bencher: Bencher<'_, '_>, encoding: Encoding) {
    let push = push_of(&event());
    bencher.bench(|| encoding.encode_push(black_box(&push)));
}
