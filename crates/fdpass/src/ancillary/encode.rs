//! The control message that carries descriptors out.

use super::Layout;

/// Writes one `SCM_RIGHTS` control message with `numbers` into `buffer` and returns its length, or `None` when the
/// buffer is too small.
///
/// Borrows: writing a number moves nothing.
#[doc(alias = "SCM_RIGHTS")]
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
#[must_use]
pub fn encode_rights(
    layout: Layout,
    buffer: &mut [u8],
    numbers: impl ExactSizeIterator<Item = i32>,
) -> Option<usize> {
    let data = numbers.len() * 4;
    let space = layout.space(data);
    let buffer = buffer.get_mut(..space)?;
    write_header(layout, buffer, layout.length(data));
    let body = buffer.get_mut(layout.header()..layout.header() + data)?;
    for (slot, number) in body.chunks_exact_mut(4).zip(numbers) {
        slot.copy_from_slice(&number.to_ne_bytes());
    }
    if let Some(padding) = buffer.get_mut(layout.header() + data..) {
        padding.fill(0);
    }
    Some(space)
}

#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
fn write_header(layout: Layout, buffer: &mut [u8], length: usize) {
    let (length_field, rest) = buffer.split_at_mut(layout.length_bytes);
    // The field is 4 or 8 bytes wide; a control message never exceeds a few kilobytes.
    match layout.length_bytes {
        4 => length_field.copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes()),
        _ => length_field.copy_from_slice(&length.to_ne_bytes()),
    }
    rest[..4].copy_from_slice(&crate::sys::SOL_SOCKET.to_ne_bytes());
    rest[4..8].copy_from_slice(&crate::sys::SCM_RIGHTS.to_ne_bytes());
}
