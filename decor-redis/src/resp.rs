//! RESP2, the protocol of Redis: commands out, replies in. Replies may come in parts.

use std::io::Write as _;

/// Deepest nesting of a reply. Those of this crate's commands have one level.
const DEEPEST: u32 = 8;

/// Largest length that is believed, of a string in bytes and of an array in items.
const LONGEST: i64 = 64 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Status(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Reply>),
}

/// A reply that is no RESP2.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads one reply and returns it with its length in bytes; `None` if a part is missing.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Malformed> {
    let mut reader = Reader { bytes, at: 0 };
    Ok(reader.reply(0)?.map(|reply| (reply, reader.at)))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn reply(&mut self, depth: u32) -> Result<Option<Reply>, Malformed> {
        if depth > DEEPEST {
            return Err(Malformed);
        }
        let Some(line) = self.line()? else { return Ok(None) };
        let Some((kind, line)) = line.split_first() else { return Err(Malformed) };
        Ok(Some(match kind {
            b'+' => Reply::Status(String::from_utf8_lossy(line).into_owned()),
            b'-' => Reply::Error(String::from_utf8_lossy(line).into_owned()),
            b':' => Reply::Integer(number(line)?),
            b'$' | b'*' => match (kind, number(line)?) {
                (_, -1) => Reply::Nil,
                (_, length) if !(0..=LONGEST).contains(&length) => return Err(Malformed),
                (b'$', length) => match self.bulk(usize::try_from(length).map_err(|_| Malformed)?)? {
                    Some(bytes) => Reply::Bulk(bytes),
                    None => return Ok(None),
                },
                (_, length) => {
                    let mut items = Vec::new();
                    for _ in 0..length {
                        match self.reply(depth + 1)? {
                            Some(item) => items.push(item),
                            None => return Ok(None),
                        }
                    }
                    Reply::Array(items)
                }
            },
            _ => return Err(Malformed),
        }))
    }

    /// The bytes up to the end of the line.
    fn line(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\r') else { return Ok(None) };
        match rest.get(end + 1) {
            Some(b'\n') => {
                self.at += end + 2;
                Ok(Some(&rest[..end]))
            }
            Some(_) => Err(Malformed),
            None => Ok(None),
        }
    }

    fn bulk(&mut self, length: usize) -> Result<Option<Vec<u8>>, Malformed> {
        let Some(bytes) = self.bytes.get(self.at..self.at + length + 2) else { return Ok(None) };
        let (bytes, end) = bytes.split_at(length);
        if end != b"\r\n" {
            return Err(Malformed);
        }
        self.at += length + 2;
        Ok(Some(bytes.to_vec()))
    }
}

fn number(line: &[u8]) -> Result<i64, Malformed> {
    std::str::from_utf8(line).ok().and_then(|line| line.parse().ok()).ok_or(Malformed)
}

/// A command: its arguments, encoded.
#[derive(Debug, Default)]
pub(crate) struct Command {
    arguments: usize,
    body: Vec<u8>,
}

impl Command {
    pub(crate) fn new(words: &[&str]) -> Self {
        let mut command = Self::default();
        for word in words {
            command.add(word);
        }
        command
    }

    pub(crate) fn add(&mut self, argument: impl AsRef<[u8]>) {
        let argument = argument.as_ref();
        self.header(b'$', argument.len());
        self.body.extend_from_slice(argument);
        self.body.extend_from_slice(b"\r\n");
        self.arguments += 1;
    }

    pub(crate) fn add_number(&mut self, number: impl Into<i64>) {
        let mut digits = [0_u8; 20];
        let mut rest = &mut digits[..];
        // A number of 64 bits has at most 20 characters.
        write!(rest, "{}", number.into()).unwrap_or_default();
        let left = rest.len();
        let used = digits.len() - left;
        self.add(&digits[..used]);
    }

    fn header(&mut self, kind: u8, length: usize) {
        self.body.push(kind);
        // Writing into a vector never fails.
        write!(self.body, "{length}\r\n").unwrap_or_default();
    }

    /// Appends the command to what is sent.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(b'*');
        write!(out, "{}\r\n", self.arguments).unwrap_or_default();
        out.extend_from_slice(&self.body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(reply: &Reply) -> Vec<u8> {
        match reply {
            Reply::Status(text) => format!("+{text}\r\n").into(),
            Reply::Error(text) => format!("-{text}\r\n").into(),
            Reply::Integer(number) => format!(":{number}\r\n").into(),
            Reply::Bulk(bytes) => [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat(),
            Reply::Nil => b"$-1\r\n".to_vec(),
            Reply::Array(items) => {
                let inner: Vec<u8> = items.iter().flat_map(encoded).collect();
                [format!("*{}\r\n", items.len()).as_bytes(), &inner].concat()
            }
        }
    }

    fn any_reply() -> impl Strategy<Value = Reply> {
        let leaf = prop_oneof![
            "[a-zA-Z ]{0,12}".prop_map(Reply::Status),
            "[A-Z]{1,8} [a-z ]{0,20}".prop_map(Reply::Error),
            any::<i64>().prop_map(Reply::Integer),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(Reply::Bulk),
            Just(Reply::Nil),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| prop::collection::vec(inner, 0..6).prop_map(Reply::Array))
    }

    proptest! {
        #[test]
        fn a_reply_is_read_once_it_is_whole(reply in any_reply(), more in prop::collection::vec(any::<u8>(), 0..9)) {
            let bytes = encoded(&reply);
            for part in 0..bytes.len() {
                prop_assert_eq!(parse(&bytes[..part]), Ok(None));
            }
            let length = bytes.len();
            prop_assert_eq!(parse(&[bytes, more].concat()), Ok(Some((reply, length))));
        }

        #[test]
        fn no_bytes_stop_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse(&bytes);
        }
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        let nested = "*1\r\n".repeat(20);
        for bytes in
            ["HTTP/1.1 400\r\n", "\r\n", ":x\r\n", "$-2\r\n", "$1\r\nabc", "+a\rb", "*99999999999\r\n", &nested]
        {
            assert_eq!(parse(bytes.as_bytes()), Err(Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn a_command_has_the_lengths_of_its_arguments() {
        let mut command = Command::new(&["EVAL", ""]);
        command.add_number(i64::MIN);
        let mut out = Vec::new();
        command.write(&mut out);
        assert_eq!(out, b"*3\r\n$4\r\nEVAL\r\n$0\r\n\r\n$20\r\n-9223372036854775808\r\n");
    }
}
