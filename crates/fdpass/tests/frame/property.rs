//! Arbitrary bytes never panic the decoder, and what is encoded is read back however it is cut.

use fdpass::frame::{Frame, Header, Preamble, Totals, kind};
use proptest::prelude::*;

include!("../../../../fuzz/checks/decode_frame.rs");

/// A message as the encoder is given it: payload, descriptors, and how many bytes one frame may take.
#[derive(Clone, Debug)]
struct Message {
    payload: Vec<u8>,
    fds: u32,
    ack: bool,
    step: usize,
}

fn message() -> impl Strategy<Value = Message> {
    (
        proptest::collection::vec(any::<u8>(), 0..300),
        0u32..600,
        any::<bool>(),
        1usize..200,
    )
        .prop_map(|(payload, fds, ack, step)| Message {
            payload,
            fds,
            ack,
            step,
        })
}

/// Any header, with plausible values more often than chance would give.
fn frame_bytes() -> impl Strategy<Value = Vec<u8>> {
    let kinds = prop_oneof![
        Just(kind::DATA),
        Just(kind::FIRST),
        Just(kind::NEXT),
        Just(kind::CANCEL),
        Just(kind::ACK),
        Just(kind::GOODBYE),
        any::<u8>()
    ];
    let lengths = prop_oneof![Just(0u32), 0u32..64, any::<u32>()];
    let counts = prop_oneof![Just(0u16), 0u16..3, any::<u16>()];
    let payload = proptest::collection::vec(any::<u8>(), 0..64);
    (lengths, kinds, any::<u8>(), counts, 0u64..6, payload).prop_map(
        |(length, kind, flags, fds, id, payload)| {
            let header = Header {
                length,
                kind,
                flags,
                fds,
                id,
            };
            [&header.encode()[..], &payload].concat()
        },
    )
}

fn encode(messages: &[Message]) -> Vec<u8> {
    let mut out = Preamble::new(1, MAX_BYTES, MAX_FDS).encode().to_vec();
    for (index, message) in messages.iter().enumerate() {
        encode_message(&mut out, index as u64 + 1, message);
    }
    out
}

fn encode_message(out: &mut Vec<u8>, id: u64, message: &Message) {
    let flags = u8::from(message.ack);
    let mut payload = &message.payload[..];
    let mut fds = message.fds;
    let whole = payload.len() <= message.step && fds <= u32::from(MAX_FRAME_FDS);
    let mut frame_kind = if whole { kind::DATA } else { kind::FIRST };
    loop {
        let totals = Totals {
            bytes: u32::try_from(message.payload.len()).unwrap(),
            fds: message.fds,
        };
        let extra: &[u8] = if frame_kind == kind::FIRST {
            &totals.encode()
        } else {
            &[]
        };
        let (part, rest) = payload.split_at(payload.len().min(message.step));
        let now = fds.min(u32::from(MAX_FRAME_FDS));
        let header = Header {
            length: u32::try_from(extra.len() + part.len()).unwrap(),
            kind: frame_kind,
            flags,
            fds: u16::try_from(now).unwrap(),
            id,
        };
        out.extend_from_slice(&header.encode());
        out.extend_from_slice(extra);
        out.extend_from_slice(part);
        payload = rest;
        fds -= now;
        frame_kind = kind::NEXT;
        if payload.is_empty() && fds == 0 {
            return;
        }
    }
}

/// Puts the messages together again from the decoder's events, `piece` bytes at a time.
fn reassemble(bytes: &[u8], piece: usize) -> Vec<(Vec<u8>, u32, bool)> {
    let mut decoder = Decoder::new(MAX_BYTES, MAX_FDS);
    let mut messages = Vec::new();
    let mut current = (Vec::new(), 0, false);
    let mut completes = false;
    let mut unread = Vec::new();
    for chunk in bytes.chunks(piece) {
        unread.extend_from_slice(chunk);
        while let Some((taken, event)) = decoder.decode(&unread).unwrap() {
            let mut frame_ended = false;
            match event {
                Event::Preamble(_) => {}
                Event::Begin(Frame {
                    kind,
                    length,
                    fds,
                    ack_wanted,
                    completes: last_frame,
                    ..
                }) => {
                    if matches!(kind, FrameKind::Data | FrameKind::First(_)) {
                        current = (Vec::new(), 0, ack_wanted);
                    }
                    current.1 += u32::from(fds);
                    completes = last_frame;
                    frame_ended = length == 0;
                }
                Event::Payload { bytes, last } => {
                    current.0.extend_from_slice(bytes);
                    frame_ended = last;
                }
            }
            unread.drain(..taken);
            if frame_ended && completes {
                messages.push(current.clone());
            }
        }
    }
    assert!(unread.is_empty() && decoder.is_at_rest());
    messages
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        check(&data);
    }

    #[test]
    fn arbitrary_frames_never_panic(frames in proptest::collection::vec(frame_bytes(), 0..8)) {
        let mut data = Preamble::new(1, 0, 0).encode().to_vec();
        data.extend(frames.concat());
        check(&data);
    }

    #[test]
    fn messages_survive_any_cut(
        messages in proptest::collection::vec(message(), 0..8),
        piece in 1usize..400,
    ) {
        let expected: Vec<_> = messages.iter().map(|m| (m.payload.clone(), m.fds, m.ack)).collect();
        prop_assert_eq!(reassemble(&encode(&messages), piece), expected);
    }
}
