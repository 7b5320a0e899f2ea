// The inner loop of FastCDC, two bytes a step. Readable twin: test/twins.ts.

/**
 * Rolls `length` bytes into the hash at `state` (u64). Gives back how many bytes end with the first one after which the
 * `bits` bits below the top bit of the hash are zero, or 0 when there is none.
 *
 * `table` is 256 u64, and behind them the same 256 shifted left by one. The first byte of a pair is tested one bit
 * further left, which is why the top bit takes no part.
 */
export function scanGear(source: usize, length: i32, table: usize, bits: i32, state: usize): i32 {
  const mask: u64 = ((1 << u64(bits)) - 1) << u64(63 - bits)
  const mask2: u64 = mask << 1
  let hash = load<u64>(state)
  const end = source + usize(length)
  const turnsEnd = source + usize(length & ~7)
  let at = source
  // Where a chunk ends nobody asks for the hash again, so it is not stored. Four pairs a turn reach the speed of C.
  while (at < turnsEnd) {
    hash = (hash << 2) + load<u64>(table + (usize(load<u8>(at)) << 3), 2048)
    if ((hash & mask2) == 0) return i32(at - source) + 1
    hash += load<u64>(table + (usize(load<u8>(at, 1)) << 3))
    if ((hash & mask) == 0) return i32(at - source) + 2
    hash = (hash << 2) + load<u64>(table + (usize(load<u8>(at, 2)) << 3), 2048)
    if ((hash & mask2) == 0) return i32(at - source) + 3
    hash += load<u64>(table + (usize(load<u8>(at, 3)) << 3))
    if ((hash & mask) == 0) return i32(at - source) + 4
    hash = (hash << 2) + load<u64>(table + (usize(load<u8>(at, 4)) << 3), 2048)
    if ((hash & mask2) == 0) return i32(at - source) + 5
    hash += load<u64>(table + (usize(load<u8>(at, 5)) << 3))
    if ((hash & mask) == 0) return i32(at - source) + 6
    hash = (hash << 2) + load<u64>(table + (usize(load<u8>(at, 6)) << 3), 2048)
    if ((hash & mask2) == 0) return i32(at - source) + 7
    hash += load<u64>(table + (usize(load<u8>(at, 7)) << 3))
    if ((hash & mask) == 0) return i32(at - source) + 8
    at += 8
  }
  while (at < end) {
    hash = (hash << 1) + load<u64>(table + (usize(load<u8>(at)) << 3))
    at++
    if ((hash & mask) == 0) return i32(at - source)
  }
  store<u64>(state, hash)
  return 0
}
