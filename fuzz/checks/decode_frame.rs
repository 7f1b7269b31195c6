// What must hold for any bytes at all. Included by the fuzz target and by the test that replays the corpus, so that
// the stable toolchain checks the same thing.

use fdpass::frame::{
    AckEntry, Decoder, Event, FrameKind, MAX_FRAME_BYTES, MAX_FRAME_FDS, ProtocolError,
};

/// What the decoder may promise: the limits the check gives it.
const MAX_BYTES: u32 = 4 << 20;
const MAX_FDS: u32 = 1_000;

/// Decodes `data` whole and in two pieces: no panic, the same meaning, and no promise above the limits.
fn check(data: &[u8]) {
    let whole = decode(&[data]);
    let middle = data.first().map_or(0, |byte| usize::from(*byte) % data.len());
    let (left, right) = data.split_at(middle);
    assert_eq!(whole, decode(&[left, right]));
}

/// The frames, the number of payload bytes, and the error if there was one.
fn decode(pieces: &[&[u8]]) -> (Vec<String>, usize, Option<ProtocolError>) {
    let mut decoder = Decoder::new(MAX_BYTES, MAX_FDS);
    let mut frames = Vec::new();
    let mut payload_bytes = 0;
    let mut unread = Vec::new();
    for piece in pieces {
        unread.extend_from_slice(piece);
        loop {
            let (taken, event) = match decoder.decode(&unread) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(error) => return (frames, payload_bytes, Some(error)),
            };
            assert!(taken > 0 && taken <= unread.len());
            match event {
                Event::Preamble(preamble) => frames.push(format!("{preamble:?}")),
                Event::Begin(frame) => {
                    assert!(frame.length <= MAX_FRAME_BYTES && frame.fds <= MAX_FRAME_FDS);
                    if let FrameKind::First(totals) = frame.kind {
                        assert!(totals.bytes <= MAX_BYTES && totals.fds <= MAX_FDS);
                    }
                    frames.push(format!("{frame:?}"));
                }
                Event::Payload { bytes, .. } => {
                    payload_bytes += bytes.len();
                    assert!(AckEntry::decode_all(bytes).count() <= bytes.len());
                }
            }
            unread.drain(..taken);
        }
    }
    (frames, payload_bytes, None)
}
