//! The named-state reader.

use super::{
    ACK_ENTRY_BYTES, FLAG_ACK_WANTED, FLAG_MUST_UNDERSTAND, HEADER_BYTES, Header, MAX_ACK_ENTRIES,
    MAX_FRAME_BYTES, MAX_FRAME_FDS, Preamble, ProtocolError, TOTALS_BYTES, Totals, kind,
};
use super::{PREAMBLE_BYTES, header};

/// What a frame is, after its header has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameKind {
    /// A whole message.
    Data,
    /// The start of a message of several frames.
    First(Totals),
    /// More of that message.
    Next,
    /// The rest of that message will not come.
    Cancel,
    /// An acknowledgement; its payload is a whole number of [`AckEntry`](super::AckEntry).
    Ack,
    /// The peer closes on purpose.
    Goodbye,
    /// A kind of a later version: to be skipped together with its descriptors.
    Unknown(u8),
}

/// A frame whose header was read and found sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: FrameKind,
    /// The message it belongs to, or what an acknowledgement is about.
    pub id: u64,
    /// Payload bytes that follow (without the totals of a first frame).
    pub length: u32,
    /// Descriptors that came with the frame's first byte.
    pub fds: u16,
    /// The sender wants an acknowledgement.
    pub ack_wanted: bool,
    /// The message is complete with this frame.
    pub completes: bool,
}

/// What [`Decoder::decode`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'input> {
    /// The preamble. Always the first event, once.
    Preamble(Preamble),
    /// A frame begins. Its payload follows as [`Event::Payload`], unless its length is 0.
    Begin(Frame),
    /// Bytes of the frame that began last.
    Payload {
        /// The bytes; never empty.
        bytes: &'input [u8],
        /// The frame is complete.
        last: bool,
    },
}

/// The message of several frames that is under way.
#[derive(Clone, Copy, Debug)]
struct Partial {
    id: u64,
    bytes_left: u32,
    fds_left: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Preamble,
    Header,
    Payload { left: u32 },
    Ended,
}

/// Reads one direction of a channel, a piece at a time.
///
/// Feed it the unread bytes; it says what stands at their start and how many bytes that took. It keeps no bytes
/// itself and takes no memory, so what a peer announces costs nothing until the caller decides to store it.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    max_message_bytes: u32,
    max_message_fds: u32,
    last_id: u64,
    partial: Option<Partial>,
}

impl Decoder {
    /// A decoder at the start of a stream. The limits hold for messages of several frames; a message of one frame is
    /// bounded by [`MAX_FRAME_BYTES`] and [`MAX_FRAME_FDS`], and the caller judges it.
    #[must_use]
    pub fn new(max_message_bytes: u32, max_message_fds: u32) -> Self {
        Self {
            state: State::Preamble,
            max_message_bytes,
            max_message_fds,
            last_id: 0,
            partial: None,
        }
    }

    /// Reads what stands at the start of `input`: how many bytes it took, and what it is. `None`: more bytes are
    /// needed (see [`Decoder::needs`]).
    ///
    /// # Errors
    ///
    /// Any [`ProtocolError`] but those about descriptors. The decoder must not be used after one.
    #[inline]
    pub fn decode<'input>(
        &mut self,
        input: &'input [u8],
    ) -> Result<Option<(usize, Event<'input>)>, ProtocolError> {
        match self.state {
            State::Header => self.begin(input),
            State::Payload { left } => Ok(self.payload(input, left)),
            State::Preamble => Ok(Preamble::decode(input)?.map(|preamble| {
                self.state = State::Header;
                (PREAMBLE_BYTES, Event::Preamble(preamble))
            })),
            State::Ended if input.is_empty() => Ok(None),
            State::Ended => Err(ProtocolError::AfterGoodbye),
        }
    }

    /// How many bytes, counted from the first unread one, surely belong to what is under way: the rest of a payload,
    /// a header, or the preamble.
    #[must_use]
    pub fn needs(&self) -> usize {
        match self.state {
            State::Preamble => PREAMBLE_BYTES,
            State::Header => HEADER_BYTES,
            State::Payload { left } => left as usize,
            State::Ended => 0,
        }
    }

    /// A frame may begin with the next byte.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.state == State::Header
    }

    /// Nothing is under way: the stream may end here without cutting a frame or a message.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Header | State::Ended) && self.partial.is_none()
    }

    /// The peer said goodbye.
    #[must_use]
    pub fn said_goodbye(&self) -> bool {
        self.state == State::Ended
    }

    fn begin(&mut self, input: &[u8]) -> Result<Option<(usize, Event<'static>)>, ProtocolError> {
        let Some(header) = Header::decode(input) else {
            return Ok(None);
        };
        check_bounds(&header)?;
        let mut taken = HEADER_BYTES;
        let mut length = header.length;
        let frame_kind = match header.kind {
            kind::DATA => FrameKind::Data,
            kind::NEXT => FrameKind::Next,
            kind::ACK => FrameKind::Ack,
            kind::CANCEL => FrameKind::Cancel,
            kind::GOODBYE => FrameKind::Goodbye,
            kind::FIRST => {
                let Some(totals) = self.totals(&header, input)? else {
                    return Ok(None);
                };
                taken += TOTALS_BYTES;
                length -= header::TOTALS_BYTES_U32;
                FrameKind::First(totals)
            }
            unknown => FrameKind::Unknown(unknown),
        };
        let mut frame = Frame {
            kind: frame_kind,
            id: header.id,
            length,
            fds: header.fds,
            ack_wanted: header.flags & FLAG_ACK_WANTED != 0,
            completes: false,
        };
        self.check_place(&header, &mut frame)?;
        self.state = match frame.kind {
            FrameKind::Goodbye => State::Ended,
            _ if length == 0 => State::Header,
            _ => State::Payload { left: length },
        };
        Ok(Some((taken, Event::Begin(frame))))
    }

    fn payload<'input>(
        &mut self,
        input: &'input [u8],
        left: u32,
    ) -> Option<(usize, Event<'input>)> {
        if input.is_empty() {
            return None;
        }
        let taken = u32::try_from(input.len()).map_or(left, |len| len.min(left));
        let last = taken == left;
        self.state = if last {
            State::Header
        } else {
            State::Payload { left: left - taken }
        };
        let bytes = &input[..taken as usize];
        Some((bytes.len(), Event::Payload { bytes, last }))
    }

    /// The totals of a first frame, checked against our limits before anybody takes memory for them.
    fn totals(&self, header: &Header, input: &[u8]) -> Result<Option<Totals>, ProtocolError> {
        if header.length < header::TOTALS_BYTES_U32 {
            return Err(bad_shape(header));
        }
        let Some(totals) = Totals::decode(&input[HEADER_BYTES..]) else {
            return Ok(None);
        };
        if totals.bytes > self.max_message_bytes {
            return Err(ProtocolError::MessageTooLarge {
                bytes: totals.bytes,
                limit: self.max_message_bytes,
            });
        }
        if totals.fds > self.max_message_fds {
            return Err(ProtocolError::MessageTooManyFds {
                fds: totals.fds,
                limit: self.max_message_fds,
            });
        }
        Ok(Some(totals))
    }

    /// Checks that the frame may come here, and keeps the account of the message under way.
    fn check_place(&mut self, header: &Header, frame: &mut Frame) -> Result<(), ProtocolError> {
        match frame.kind {
            FrameKind::Data => {
                self.start_message(header)?;
                frame.completes = true;
            }
            FrameKind::First(totals) => {
                self.start_message(header)?;
                frame.completes = self.account(frame, totals.bytes, totals.fds)?;
            }
            FrameKind::Next => {
                let partial = self.message_under_way(header)?;
                if frame.length == 0 && frame.fds == 0 {
                    return Err(ProtocolError::BadTotals { id: frame.id });
                }
                frame.completes = self.account(frame, partial.bytes_left, partial.fds_left)?;
            }
            FrameKind::Cancel => {
                self.message_under_way(header)?;
                self.partial = None;
                frame.completes = true;
            }
            FrameKind::Goodbye if self.partial.is_some() => {
                return Err(ProtocolError::OutOfOrder { kind: header.kind });
            }
            FrameKind::Goodbye | FrameKind::Ack | FrameKind::Unknown(_) => {}
        }
        Ok(())
    }

    /// A new message may begin only where none is under way, with an id above all before it.
    fn start_message(&mut self, header: &Header) -> Result<(), ProtocolError> {
        if self.partial.is_some() {
            return Err(ProtocolError::OutOfOrder { kind: header.kind });
        }
        if header.id <= self.last_id {
            return Err(ProtocolError::BadId { id: header.id });
        }
        self.last_id = header.id;
        Ok(())
    }

    fn message_under_way(&self, header: &Header) -> Result<Partial, ProtocolError> {
        let partial = self
            .partial
            .ok_or(ProtocolError::OutOfOrder { kind: header.kind })?;
        if partial.id != header.id {
            return Err(ProtocolError::BadId { id: header.id });
        }
        Ok(partial)
    }

    /// Takes what the frame brings off what is still to come. True: nothing is left.
    fn account(
        &mut self,
        frame: &Frame,
        bytes_left: u32,
        fds_left: u32,
    ) -> Result<bool, ProtocolError> {
        let overrun = ProtocolError::BadTotals { id: frame.id };
        let bytes_left = bytes_left.checked_sub(frame.length).ok_or(overrun)?;
        let fds_left = fds_left.checked_sub(u32::from(frame.fds)).ok_or(overrun)?;
        let complete = bytes_left == 0 && fds_left == 0;
        self.partial = (!complete).then_some(Partial {
            id: frame.id,
            bytes_left,
            fds_left,
        });
        Ok(complete)
    }
}

/// The checks that need nothing but the header.
#[inline]
fn check_bounds(header: &Header) -> Result<(), ProtocolError> {
    if header.length > MAX_FRAME_BYTES {
        return Err(ProtocolError::FrameLength {
            length: header.length,
        });
    }
    if header.fds > MAX_FRAME_FDS {
        return Err(ProtocolError::FrameFds { fds: header.fds });
    }
    let sound = match header.kind {
        kind::DATA | kind::FIRST | kind::NEXT => true,
        kind::CANCEL | kind::GOODBYE => header.length == 0 && header.fds == 0,
        kind::ACK => header.fds == 0 && is_ack_length(header.length as usize),
        0 => return Err(ProtocolError::UnknownKind { kind: 0 }),
        unknown if header.flags & FLAG_MUST_UNDERSTAND != 0 => {
            return Err(ProtocolError::UnknownKind { kind: unknown });
        }
        _ => true,
    };
    if sound {
        Ok(())
    } else {
        Err(bad_shape(header))
    }
}

fn is_ack_length(length: usize) -> bool {
    length.is_multiple_of(ACK_ENTRY_BYTES) && length / ACK_ENTRY_BYTES <= MAX_ACK_ENTRIES
}

fn bad_shape(header: &Header) -> ProtocolError {
    ProtocolError::BadShape {
        kind: header.kind,
        length: header.length,
        fds: header.fds,
    }
}
