//! Control data as pure bytes: what was encoded is decoded, and nothing a kernel or a peer puts there does harm.

use fdpass::ancillary::{CMSG_APPLE, CMSG_LINUX, Decoder, Item, Layout, encode_rights};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::util::alone;

#[path = "../../../../fuzz/checks/decode_ancillary.rs"]
pub(crate) mod checks;

const BOTH: [Layout; 2] = [CMSG_LINUX, CMSG_APPLE];

/// One control message with `data`, whose header states `length` (or the truth), padded as `layout` has it.
fn message(layout: Layout, level: i32, kind: i32, data: &[u8], length: Option<usize>) -> Vec<u8> {
    let stated = length.unwrap_or(layout.length(data.len()));
    let mut bytes = if layout == CMSG_APPLE {
        u32::try_from(stated)
            .unwrap_or(u32::MAX)
            .to_ne_bytes()
            .to_vec()
    } else {
        stated.to_ne_bytes().to_vec()
    };
    bytes.extend(level.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(data);
    bytes.resize(layout.space(data.len()), 0xEE);
    bytes
}

fn rights(layout: Layout, numbers: &[i32], length: Option<usize>) -> Vec<u8> {
    let data: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_ne_bytes())
        .collect();
    message(layout, libc::SOL_SOCKET, libc::SCM_RIGHTS, &data, length)
}

/// The numbers of every array of descriptors in `bytes`.
fn decoded(layout: Layout, bytes: &[u8]) -> Vec<Vec<i32>> {
    Decoder::new(layout, bytes)
        .filter_map(|item| match item {
            Item::Rights(numbers) => Some(numbers.collect()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_length_that_points_past_the_end_is_clamped_to_what_arrived() {
    for layout in BOTH {
        // XNU leaves the untruncated length after a truncation.
        for lie in [1, 4, 5, 1 << 20, usize::MAX / 2] {
            let bytes = rights(layout, &[7, 8], Some(layout.length(8) + lie));
            assert_eq!(decoded(layout, &bytes[..layout.length(8)]), [[7, 8]]);
            assert_eq!(decoded(layout, &bytes[..layout.length(7)]), [[7]]);
            assert_eq!(decoded(layout, &bytes[..layout.length(3)]), [[0; 0]]);
        }
        let bytes = rights(layout, &[7], Some(usize::MAX));
        assert_eq!(decoded(layout, &bytes[..layout.length(4)]), [[7]]);
    }
}

#[test]
fn a_length_shorter_than_a_header_ends_the_walk_and_does_not_hang() {
    for layout in BOTH {
        for length in 0..layout.length(0) {
            let mut bytes = rights(layout, &[1], None);
            bytes.extend(rights(layout, &[2], Some(length)));
            bytes.extend(rights(layout, &[3], None));
            assert_eq!(decoded(layout, &bytes), [[1]]);
        }
    }
}

#[test]
fn a_header_that_is_cut_ends_the_walk() {
    for layout in BOTH {
        let first = rights(layout, &[1], None);
        for cut in 0..layout.length(0) {
            let mut bytes = first.clone();
            bytes.extend(&rights(layout, &[2], None)[..cut]);
            assert_eq!(decoded(layout, &bytes), [[1]]);
        }
    }
}

#[test]
fn part_of_an_integer_is_no_descriptor() {
    for layout in BOTH {
        for part in 1..4 {
            let bytes = rights(layout, &[5, 6], Some(layout.length(4 + part)));
            assert_eq!(decoded(layout, &bytes), [[5]]);
        }
    }
}

#[test]
fn padding_is_never_a_descriptor() {
    // With an odd count the space of Linux holds one integer more than the length says.
    let bytes = rights(CMSG_LINUX, &[5], None);
    assert_eq!(bytes.len(), CMSG_LINUX.length(8));
    assert_eq!(decoded(CMSG_LINUX, &bytes), [[5]]);
}

#[test]
fn negative_numbers_are_given_as_they_are_so_that_nobody_owns_them() {
    for layout in BOTH {
        let bytes = rights(layout, &[3, -13, 4, i32::MIN, -1], None);
        assert_eq!(decoded(layout, &bytes), [[3, -13, 4, i32::MIN, -1]]);
    }
}

#[test]
fn zeros_are_what_they_are_because_a_peek_on_xnu_shows_them() {
    for layout in BOTH {
        assert_eq!(decoded(layout, &[0; 512]), [[0i32; 0]; 0]);
        assert_eq!(decoded(layout, &rights(layout, &[0, 0], None)), [[0, 0]]);
    }
}

#[test]
fn several_arrays_are_given_in_their_order() {
    for layout in BOTH {
        let mut bytes = rights(layout, &[1], None);
        bytes.extend(rights(layout, &[], None));
        bytes.extend(rights(layout, &[2, 3], None));
        assert_eq!(decoded(layout, &bytes), [vec![1], vec![], vec![2, 3]]);
        // The last one's padding need not be there.
        bytes.truncate(bytes.len() - (layout.space(8) - layout.length(8)));
        assert_eq!(decoded(layout, &bytes).len(), 3);
    }
}

#[test]
fn what_is_of_another_level_or_kind_is_unknown_and_passed_over() {
    for layout in BOTH {
        for (level, kind) in [
            (libc::SOL_SOCKET, 0x7777),
            (libc::SOL_SOCKET + 1, libc::SCM_RIGHTS),
            (0x29, 3),
        ] {
            let mut bytes = message(layout, level, kind, &[9; 4], None);
            bytes.extend(rights(layout, &[1], None));
            assert_eq!(decoded(layout, &bytes), [[1]]);
            let first = Decoder::new(layout, &bytes).next();
            assert!(
                matches!(first, Some(Item::Unknown { level: l, kind: k }) if (l, k) == (level, kind))
            );
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn credentials_are_read_whole_or_not_at_all() {
    let data: Vec<u8> = [42i32, 1000, -1]
        .iter()
        .flat_map(|number| number.to_ne_bytes())
        .collect();
    let expected = fdpass::ancillary::Credentials {
        pid: 42,
        uid: 1000,
        gid: u32::MAX,
    };
    for length in 0..=12 {
        let bytes = message(
            CMSG_LINUX,
            libc::SOL_SOCKET,
            libc::SCM_CREDENTIALS,
            &data[..length],
            None,
        );
        match Decoder::new(CMSG_LINUX, &bytes).next() {
            Some(Item::Credentials(found)) => assert_eq!((found, length), (expected, 12)),
            Some(Item::Unknown { .. }) => assert!(length < 12),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_encoder_refuses_a_buffer_that_is_too_small_and_writes_nothing() {
    for layout in BOTH {
        let mut buffer = [0x55; 64];
        let room = layout.space(8);
        assert_eq!(
            encode_rights(layout, &mut buffer[..room - 1], [1, 2].into_iter()),
            None
        );
        assert_eq!(buffer, [0x55; 64]);
        assert_eq!(
            encode_rights(layout, &mut buffer, [1, 2].into_iter()),
            Some(room)
        );
        assert!(buffer[room..].iter().all(|byte| *byte == 0x55));
    }
}

#[test]
fn the_padding_that_is_sent_is_zero_and_no_memory_of_ours() {
    let mut buffer = [0x55; 64];
    let room = encode_rights(CMSG_LINUX, &mut buffer, [1].into_iter()).unwrap();
    assert_eq!(buffer[CMSG_LINUX.length(4)..room], [0; 4]);
}

/// Control messages that are nearly right: true and false lengths, kinds that matter, rests cut anywhere.
fn nearly_right(layout: Layout) -> impl Strategy<Value = Vec<u8>> {
    let level = prop_oneof![4 => Just(libc::SOL_SOCKET), 1 => any::<i32>()];
    let kind = prop_oneof![4 => 0..6i32, 1 => any::<i32>()];
    let length = prop_oneof![
        4 => Just(None),
        2 => (0..80usize).prop_map(Some),
        1 => any::<usize>().prop_map(Some),
        1 => (usize::MAX - 16..=usize::MAX).prop_map(Some),
    ];
    let one = (level, kind, vec(any::<u8>(), 0..40), length)
        .prop_map(move |(level, kind, data, length)| message(layout, level, kind, &data, length));
    (vec(one, 0..5), 0..64usize).prop_map(|(messages, cut)| {
        let mut bytes = messages.concat();
        bytes.truncate(bytes.len().saturating_sub(cut / 2));
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_decoded(numbers in vec(any::<i32>(), 0..=254), slack in 0..40usize) {
        for layout in BOTH {
            let room = layout.space(numbers.len() * 4);
            let mut buffer = vec![0x77; room + slack];
            let length = encode_rights(layout, &mut buffer, numbers.iter().copied());
            prop_assert_eq!(length, Some(room));
            prop_assert_eq!(decoded(layout, &buffer[..room]), [&numbers[..]]);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_yield_no_number_that_is_not_in_them(bytes in vec(any::<u8>(), 0..1200)) {
        checks::check(&bytes);
    }

    #[test]
    fn nearly_right_bytes_of_linux_yield_what_the_plain_walk_yields(bytes in nearly_right(CMSG_LINUX)) {
        checks::check(&bytes);
    }

    #[test]
    fn nearly_right_bytes_of_macos_yield_what_the_plain_walk_yields(bytes in nearly_right(CMSG_APPLE)) {
        checks::check(&bytes);
    }
}

/// The kernel's own bytes, cut everywhere, through the same properties.
#[test]
fn what_a_kernel_writes_is_decoded_whatever_is_cut_off() {
    alone(|| {
        let pair = crate::util::pair(fdpass::socket::SocketType::Stream);
        #[cfg(target_os = "linux")]
        fdpass::socket::set_pass_credentials(std::os::fd::AsFd::as_fd(&pair.right), true).unwrap();
        crate::util::send(pair.left(), b"x", &crate::util::numbered_files(5)).unwrap();
        let raw = crate::util::raw_receive(&pair.right, 512, 0).unwrap();
        for length in 0..=raw.control.len() {
            checks::check(&raw.control[..length]);
        }
        assert_eq!(crate::util::own_all(&raw.control).len(), 5);
    });
}
