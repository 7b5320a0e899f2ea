// LZ4 blocks: a greedy compressor with one hash table, and a decompressor that trusts nothing.
// Format: lz4_Block_format.md of the LZ4 project. Sequences of (token, literals, offset u16, match), the last one without a match.

const MIN_MATCH: usize = 4;
/** The last match starts at least so many bytes before the end of the block ("End of block conditions"). */
const MATCH_FIND_LIMIT: usize = 12;
/** The last so many bytes are always literals. */
const LAST_LITERALS: usize = 5;
const MAX_OFFSET: usize = 65535;

const HASH_BITS: u64 = 12;
/** Bytes of memory `compress` needs for its table: positions, u32, by hash. */
export const TABLE_BYTES: usize = 4 << <usize>HASH_BITS;

/** After 2^6 misses the search takes steps of 2, after as many more of 3, and so on: incompressible data is left behind quickly. */
const SKIP_BITS: u32 = 6;

/** Hash of the five low bytes of a word: four would do, but a fifth makes for longer matches. */
@inline
function slot(word: u64, table: usize): usize {
  return table + <usize>(((word << 24) * 889523592379) >> (64 - HASH_BITS) << 2);
}

/** Number of equal bytes from `a` and from `b` on, `b` not reaching `limit`. */
@inline
function equalLength(a: usize, b: usize, limit: usize): usize {
  const start = b;
  while (b + 8 <= limit) {
    const difference = load<u64>(a) ^ load<u64>(b);
    if (difference != 0) return b - start + <usize>(ctz(difference) >> 3);
    a += 8;
    b += 8;
  }
  while (b < limit && load<u8>(a) == load<u8>(b)) {
    a++;
    b++;
  }
  return b - start;
}

/** Writes what a length has beyond 15, in bytes of 255 and a last one below. */
@inline
function putLength(out: usize, rest: usize): usize {
  while (rest >= 255) {
    store<u8>(out++, 255);
    rest -= 255;
  }
  store<u8>(out, <u8>rest);
  return out + 1;
}

/**
 * Compresses `length` bytes. Returns the length of the block, or 0 as soon as it is sure to exceed `capacity`.
 * Up to 16 bytes beyond `capacity` may be written.
 */
export function compress(input: usize, length: usize, out: usize, capacity: usize, table: usize): usize {
  const end = input + length;
  const outEnd = out + capacity;
  const start = out;
  let anchor = input;
  if (length > MATCH_FIND_LIMIT) {
    memory.fill(table, 0, TABLE_BYTES);
    const matchEnd = end - LAST_LITERALS;
    const findEnd = end - MATCH_FIND_LIMIT;
    let at = input + 1; // Position 0 is what an empty slot says; it is a candidate all the same.
    while (true) {
      // Find four equal bytes within reach.
      let candidate: usize;
      let step: usize = 1;
      let misses: u32 = 1 << SKIP_BITS;
      let next = at;
      let word = load<u64>(next);
      let place = slot(word, table);
      while (true) {
        at = next;
        next += step;
        step = <usize>(misses++ >> SKIP_BITS);
        if (next > findEnd) return putLast(anchor, end, start, out, outEnd);
        candidate = input + <usize>load<u32>(place);
        store<u32>(place, <u32>(at - input));
        const here = <u32>word;
        word = load<u64>(next);
        place = slot(word, table);
        if (load<u32>(candidate) == here && at - candidate <= MAX_OFFSET) break;
      }
      // Stretch it backwards.
      while (at > anchor && candidate > input && load<u8>(at - 1) == load<u8>(candidate - 1)) {
        at--;
        candidate--;
      }

      // Literals since the last match.
      const literals = at - anchor;
      // Token, offset, and the most that the lengths can take, checked before a byte is written.
      if (out + literals + literals / 255 + 5 > outEnd) return 0;
      let token = out++;
      if (literals < 15) {
        store<u8>(token, <u8>(literals << 4));
      } else {
        store<u8>(token, 0xf0);
        out = putLength(out, literals - 15);
      }
      if (at + 16 <= end) copyForward(anchor, out, literals);
      else memory.copy(out, anchor, literals);
      out += literals;

      // Matches, one directly after another as long as there are any.
      while (true) {
        store<u16>(out, <u16>(at - candidate));
        out += 2;
        const match = equalLength(candidate + MIN_MATCH, at + MIN_MATCH, matchEnd);
        at += MIN_MATCH + match;
        if (out + match / 255 + 1 > outEnd) return 0;
        if (match < 15) {
          store<u8>(token, load<u8>(token) | <u8>match);
        } else {
          store<u8>(token, load<u8>(token) | 15);
          out = putLength(out, match - 15);
        }
        anchor = at;
        if (at >= findEnd) return putLast(anchor, end, start, out, outEnd);

        const before = load<u64>(at - 2);
        store<u32>(slot(before, table), <u32>(at - 2 - input));
        const word = load<u64>(at);
        const place = slot(word, table);
        candidate = input + <usize>load<u32>(place);
        store<u32>(place, <u32>(at - input));
        if (load<u32>(candidate) != <u32>word || at - candidate > MAX_OFFSET || candidate >= at) break;
        if (out + 3 > outEnd) return 0;
        token = out++;
        store<u8>(token, 0);
      }
      at++;
    }
  }
  return putLast(anchor, end, start, out, outEnd);
}

/** Copies at least `length` bytes, in steps of 16: up to 15 bytes more are read and written. */
@inline
function copyForward(from: usize, to: usize, length: usize): void {
  const toEnd = to + length;
  while (to < toEnd) {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  }
}

function putLast(anchor: usize, end: usize, start: usize, at: usize, outEnd: usize): usize {
  let out = at;
  const literals = end - anchor;
  if (out + 1 + literals + (literals >= 15 ? (literals - 15) / 255 + 1 : 0) > outEnd) return 0;
  if (literals < 15) {
    store<u8>(out++, <u8>(literals << 4));
  } else {
    store<u8>(out++, 0xf0);
    out = putLength(out, literals - 15);
  }
  memory.copy(out, anchor, literals);
  return out + literals - start;
}

/** Bytes that must be left on both sides for a short sequence: 14 literals, an offset, a match of 18, copied as 16 and 18. */
const SHORT_ROOM: usize = 48;

/**
 * Decompresses a block of `length` bytes to exactly `plainLength` bytes at `out`; not a byte outside [out, out + plainLength)
 * is written, nor one outside the block read. Returns 0, or what is wrong:
 * 1 the block ends too early, 2 more plaintext than said, 3 less than said, 4 an offset before the start.
 */
export function decompress(input: usize, length: usize, out: usize, plainLength: usize): u32 {
  const inEnd = input + length;
  const outEnd = out + plainLength;
  const start = out;
  let at = input;
  while (true) {
    if (at >= inEnd) return 1;
    const token = <usize>load<u8>(at++);
    let literals = token >> 4;

    // Most sequences are short and far from both ends: two copies of fixed length, and nothing more to check.
    if (literals < 15 && (token & 15) < 15 && inEnd - at >= SHORT_ROOM && outEnd - out >= SHORT_ROOM) {
      const offset = <usize>load<u16>(at + literals);
      const matchAt = out + literals;
      if (offset >= 8 && offset <= matchAt - start) {
        v128.store(out, v128.load(at));
        store<u64>(matchAt, load<u64>(matchAt - offset));
        store<u64>(matchAt, load<u64>(matchAt - offset, 8), 8);
        store<u16>(matchAt, load<u16>(matchAt - offset, 16), 16);
        at += literals + 2;
        out = matchAt + (token & 15) + MIN_MATCH;
        continue;
      }
    }

    if (literals == 15) {
      let more: usize;
      do {
        if (at >= inEnd) return 1;
        more = <usize>load<u8>(at++);
        literals += more;
        if (literals > plainLength) return 2;
      } while (more == 255);
    }
    if (literals > inEnd - at) return 1;
    if (literals > outEnd - out) return 2;
    if (inEnd - at >= literals + 16 && outEnd - out >= literals + 16) copyForward(at, out, literals);
    else memory.copy(out, at, literals);
    at += literals;
    out += literals;
    if (at == inEnd) return out == outEnd ? 0 : 3;

    if (inEnd - at < 2) return 1;
    const offset = <usize>load<u16>(at);
    at += 2;
    if (offset == 0 || offset > out - start) return 4;
    let match = (token & 15) + MIN_MATCH;
    if (match == 15 + MIN_MATCH) {
      let more: usize;
      do {
        if (at >= inEnd) return 1;
        more = <usize>load<u8>(at++);
        match += more;
        if (match > plainLength) return 2;
      } while (more == 255);
    }
    if (match > outEnd - out) return 2;
    copyMatch(out, offset, match, outEnd - out);
    out += match;
  }
}

/** Copies a match that may overlap itself: its source is `offset` bytes back, and `room` bytes may be written. */
@inline
function copyMatch(to: usize, offset: usize, length: usize, room: usize): void {
  if (offset >= 16 && room >= length + 16) {
    copyForward(to - offset, to, length);
    return;
  }
  const bytewise = offset >= 8 && room >= length + 8 ? <usize>0 : room >= length + 8 ? min<usize>(length, 8) : length;
  for (let i: usize = 0; i < bytewise; i++) store<u8>(to + i, load<u8>(to + i - offset));
  // What repeats every `offset` bytes also repeats every multiple of it, of which one is at least a word.
  const period = offset >= 8 ? offset : offset * ((7 + offset) / offset);
  const end = to + length;
  for (let at = to + bytewise; at < end; at += 8) store<u64>(at, load<u64>(at - period));
}
