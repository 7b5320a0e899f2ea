// BLAKE3 (the BLAKE3 paper, version 20211102): the hash, keyed hash and derive_key modes, and output of any length.
// Four chunks, or four parents, are hashed at a time, one to a 32-bit lane of each vector (section 5.3).
//
// A hasher is STATE_BYTES of memory, made by `init`. The last chunk is always kept back in it, as only at the end it is
// known which node is the root (section 5.1.2).

const CHUNK_BYTES: usize = 1024;
const BLOCK_BYTES: usize = 64;
const CV_BYTES: usize = 32;

// Flags, table 3.
const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const PARENT: u32 = 4;
const ROOT: u32 = 8;

// Offsets in a hasher's state.
const KEY: usize = 0; //            8 u32  the key words, or the initial value
const FLAGS: usize = 32; //         u32    flags of the mode
const TAIL_LENGTH: usize = 36; //   u32    bytes kept back, at most CHUNK_BYTES
const CHUNKS: usize = 40; //        u64    chunks hashed so far
const DEPTH: usize = 48; //         u32    subtrees on the stack
const STACK: usize = 64; //         54 chaining values of complete subtrees, the largest first
const TAIL: usize = STACK + 54 * CV_BYTES;
const WORK: usize = TAIL + CHUNK_BYTES; // 16 chaining values
const NODE: usize = WORK + 16 * CV_BYTES; // one block and one chaining value
const OUTPUT: usize = NODE + BLOCK_BYTES + CV_BYTES; // one block of output

/** Bytes of memory a hasher takes. */
export const STATE_BYTES: usize = OUTPUT + BLOCK_BYTES;

/** Which message word each step of each round takes: the permutation of table 2, applied over and over. */
const SCHEDULE = memory.data<u8>([
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
  2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8,
  3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1,
  10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6,
  12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4,
  9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7,
  11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13
]);

/** Starts a hasher with the 32 key bytes at `key` (or the initial value) and the flags of its mode. */
export function init(state: usize, key: usize, flags: u32): void {
  memory.copy(state + KEY, key, CV_BYTES);
  store<u32>(state, flags, FLAGS);
  reset(state);
}

/** Makes a hasher forget what it was given, but not its key. */
export function reset(state: usize): void {
  store<u32>(state, 0, TAIL_LENGTH);
  store<u64>(state, 0, CHUNKS);
  store<u32>(state, 0, DEPTH);
}

/** Takes in `length` bytes. */
export function update(state: usize, input: usize, length: usize): void {
  let at = input;
  const end = input + length;
  while (at < end) {
    const tailLength = <usize>load<u32>(state, TAIL_LENGTH);
    if (tailLength == CHUNK_BYTES) {
      pushChunk(state, state + TAIL);
      store<u32>(state, 0, TAIL_LENGTH);
    } else if (tailLength == 0 && end - at > CHUNK_BYTES) {
      at = pushWhole(state, at, end);
    } else {
      const take = min(CHUNK_BYTES - tailLength, end - at);
      memory.copy(state + TAIL + tailLength, at, take);
      store<u32>(state, <u32>(tailLength + take), TAIL_LENGTH);
      at += take;
    }
  }
}

/** Writes `length` bytes of the hash of what was taken in; the hasher stays as it was. */
export function finish(state: usize, out: usize, length: usize): void {
  const tailLength = <usize>load<u32>(state, TAIL_LENGTH);
  const modeFlags = load<u32>(state, FLAGS);
  const node = state + NODE;
  const nodeCv = node + BLOCK_BYTES;

  // The last chunk, all but its last block.
  const lastBlock: usize = tailLength == 0 ? <usize>0 : (tailLength - 1) & ~(BLOCK_BYTES - 1);
  const counter = load<u64>(state, CHUNKS);
  memory.copy(nodeCv, state + KEY, CV_BYTES);
  for (let at: usize = 0; at < lastBlock; at += BLOCK_BYTES) {
    compress(nodeCv, state + TAIL + at, 64, counter, modeFlags | (at == 0 ? CHUNK_START : 0), nodeCv, false);
  }
  let flags = modeFlags | CHUNK_END | (lastBlock == 0 ? CHUNK_START : 0);
  let blockLength = <u32>(tailLength - lastBlock);
  memory.fill(node, 0, BLOCK_BYTES);
  memory.copy(node, state + TAIL + lastBlock, blockLength);

  // Its parents, from the smallest subtree to the whole tree.
  let nodeCounter = counter;
  for (let depth = load<u32>(state, DEPTH); depth > 0; depth--) {
    compress(nodeCv, node, blockLength, nodeCounter, flags, node + CV_BYTES, false);
    memory.copy(node, state + STACK + <usize>(depth - 1) * CV_BYTES, CV_BYTES);
    memory.copy(nodeCv, state + KEY, CV_BYTES);
    flags = modeFlags | PARENT;
    blockLength = <u32>BLOCK_BYTES;
    nodeCounter = 0;
  }

  // The root's output, a block at a time (section 2.6).
  const output = state + OUTPUT;
  let done: usize = 0;
  for (let block: u64 = 0; done < length; block++) {
    compress(nodeCv, node, blockLength, block, flags | ROOT, output, true);
    const take = min(BLOCK_BYTES, length - done);
    memory.copy(out + done, output, take);
    done += take;
  }
}

/** Hashes whole chunks of [at, end), as many as go together, at least one, and never the last. */
function pushWhole(state: usize, at: usize, end: usize): usize {
  const chunks = load<u64>(state, CHUNKS);
  const flags = load<u32>(state, FLAGS);
  const key = state + KEY;
  const work = state + WORK;
  if ((chunks & 15) == 0 && end - at > 16 * CHUNK_BYTES) {
    for (let i: usize = 0; i < 4; i++) {
      hash4(at + i * 4096, CHUNK_BYTES, 16, key, chunks + i * 4, 1, flags, CHUNK_START, CHUNK_END, work + i * 128);
    }
    // In place: four parents read 256 bytes and write 128, always behind what is still to be read.
    hash4(work, BLOCK_BYTES, 1, key, 0, 0, flags | PARENT, 0, 0, work);
    hash4(work + 256, BLOCK_BYTES, 1, key, 0, 0, flags | PARENT, 0, 0, work + 128);
    hash4(work, BLOCK_BYTES, 1, key, 0, 0, flags | PARENT, 0, 0, work);
    parent(state, work, work);
    parent(state, work + 64, work + 32);
    parent(state, work, work);
    push(state, work, 4);
    return at + 16 * CHUNK_BYTES;
  }
  if ((chunks & 3) == 0 && end - at > 4 * CHUNK_BYTES) {
    hash4(at, CHUNK_BYTES, 16, key, chunks, 1, flags, CHUNK_START, CHUNK_END, work);
    parent(state, work, work);
    parent(state, work + 64, work + 32);
    parent(state, work, work);
    push(state, work, 2);
    return at + 4 * CHUNK_BYTES;
  }
  pushChunk(state, at);
  return at + CHUNK_BYTES;
}

function pushChunk(state: usize, chunk: usize): void {
  const counter = load<u64>(state, CHUNKS);
  const flags = load<u32>(state, FLAGS);
  const work = state + WORK;
  memory.copy(work, state + KEY, CV_BYTES);
  for (let at: usize = 0; at < CHUNK_BYTES; at += BLOCK_BYTES) {
    const edge = at == 0 ? CHUNK_START : at == CHUNK_BYTES - BLOCK_BYTES ? CHUNK_END : 0;
    compress(work, chunk + at, <u32>BLOCK_BYTES, counter, flags | edge, work, false);
  }
  push(state, work, 0);
}

/** Adds the subtree of 2^level chunks whose chaining value is at `cv`, and merges equal ones (section 5.1.2). */
function push(state: usize, cv: usize, level: u32): void {
  const chunks = load<u64>(state, CHUNKS) + (<u64>1 << level);
  let depth = <usize>load<u32>(state, DEPTH);
  memory.copy(state + STACK + depth * CV_BYTES, cv, CV_BYTES);
  depth++;
  for (let trees = chunks >> level; (trees & 1) == 0; trees >>= 1) {
    depth--;
    const pair = state + STACK + (depth - 1) * CV_BYTES;
    parent(state, pair, pair);
  }
  store<u64>(state, chunks, CHUNKS);
  store<u32>(state, <u32>depth, DEPTH);
}

/** The chaining value of the parent of the two at `pair`. `out` may be `pair`. */
@inline
function parent(state: usize, pair: usize, out: usize): void {
  compress(state + KEY, pair, <u32>BLOCK_BYTES, 0, load<u32>(state, FLAGS) | PARENT, out, false);
}

@inline
function word(block: usize, row: usize, step: usize): u32 {
  return load<u32>(block + (<usize>load<u8>(row + step) << 2));
}

/** The compression function (section 2.2). Writes 32 bytes, or 64 when `whole`; `out` may be `cv` or `block`. */
function compress(cv: usize, block: usize, length: u32, counter: u64, flags: u32, out: usize, whole: bool): void {
  const c0 = load<u32>(cv), c1 = load<u32>(cv, 4), c2 = load<u32>(cv, 8), c3 = load<u32>(cv, 12);
  const c4 = load<u32>(cv, 16), c5 = load<u32>(cv, 20), c6 = load<u32>(cv, 24), c7 = load<u32>(cv, 28);
  let s0 = c0, s1 = c1, s2 = c2, s3 = c3, s4 = c4, s5 = c5, s6 = c6, s7 = c7;
  let s8: u32 = 0x6a09e667, s9: u32 = 0xbb67ae85, s10: u32 = 0x3c6ef372, s11: u32 = 0xa54ff53a;
  let s12 = <u32>counter, s13 = <u32>(counter >> 32), s14 = length, s15 = flags;
  const end = SCHEDULE + 7 * 16;
  for (let m = SCHEDULE; m < end; m += 16) {
    s0 = s0 + s4 + word(block, m, 0); s12 = rotr<u32>(s12 ^ s0, 16); s8 = s8 + s12; s4 = rotr<u32>(s4 ^ s8, 12);
    s0 = s0 + s4 + word(block, m, 1); s12 = rotr<u32>(s12 ^ s0, 8); s8 = s8 + s12; s4 = rotr<u32>(s4 ^ s8, 7);
    s1 = s1 + s5 + word(block, m, 2); s13 = rotr<u32>(s13 ^ s1, 16); s9 = s9 + s13; s5 = rotr<u32>(s5 ^ s9, 12);
    s1 = s1 + s5 + word(block, m, 3); s13 = rotr<u32>(s13 ^ s1, 8); s9 = s9 + s13; s5 = rotr<u32>(s5 ^ s9, 7);
    s2 = s2 + s6 + word(block, m, 4); s14 = rotr<u32>(s14 ^ s2, 16); s10 = s10 + s14; s6 = rotr<u32>(s6 ^ s10, 12);
    s2 = s2 + s6 + word(block, m, 5); s14 = rotr<u32>(s14 ^ s2, 8); s10 = s10 + s14; s6 = rotr<u32>(s6 ^ s10, 7);
    s3 = s3 + s7 + word(block, m, 6); s15 = rotr<u32>(s15 ^ s3, 16); s11 = s11 + s15; s7 = rotr<u32>(s7 ^ s11, 12);
    s3 = s3 + s7 + word(block, m, 7); s15 = rotr<u32>(s15 ^ s3, 8); s11 = s11 + s15; s7 = rotr<u32>(s7 ^ s11, 7);
    s0 = s0 + s5 + word(block, m, 8); s15 = rotr<u32>(s15 ^ s0, 16); s10 = s10 + s15; s5 = rotr<u32>(s5 ^ s10, 12);
    s0 = s0 + s5 + word(block, m, 9); s15 = rotr<u32>(s15 ^ s0, 8); s10 = s10 + s15; s5 = rotr<u32>(s5 ^ s10, 7);
    s1 = s1 + s6 + word(block, m, 10); s12 = rotr<u32>(s12 ^ s1, 16); s11 = s11 + s12; s6 = rotr<u32>(s6 ^ s11, 12);
    s1 = s1 + s6 + word(block, m, 11); s12 = rotr<u32>(s12 ^ s1, 8); s11 = s11 + s12; s6 = rotr<u32>(s6 ^ s11, 7);
    s2 = s2 + s7 + word(block, m, 12); s13 = rotr<u32>(s13 ^ s2, 16); s8 = s8 + s13; s7 = rotr<u32>(s7 ^ s8, 12);
    s2 = s2 + s7 + word(block, m, 13); s13 = rotr<u32>(s13 ^ s2, 8); s8 = s8 + s13; s7 = rotr<u32>(s7 ^ s8, 7);
    s3 = s3 + s4 + word(block, m, 14); s14 = rotr<u32>(s14 ^ s3, 16); s9 = s9 + s14; s4 = rotr<u32>(s4 ^ s9, 12);
    s3 = s3 + s4 + word(block, m, 15); s14 = rotr<u32>(s14 ^ s3, 8); s9 = s9 + s14; s4 = rotr<u32>(s4 ^ s9, 7);
  }
  store<u32>(out, s0 ^ s8);
  store<u32>(out, s1 ^ s9, 4);
  store<u32>(out, s2 ^ s10, 8);
  store<u32>(out, s3 ^ s11, 12);
  store<u32>(out, s4 ^ s12, 16);
  store<u32>(out, s5 ^ s13, 20);
  store<u32>(out, s6 ^ s14, 24);
  store<u32>(out, s7 ^ s15, 28);
  if (!whole) return;
  store<u32>(out, s8 ^ c0, 32);
  store<u32>(out, s9 ^ c1, 36);
  store<u32>(out, s10 ^ c2, 40);
  store<u32>(out, s11 ^ c3, 44);
  store<u32>(out, s12 ^ c4, 48);
  store<u32>(out, s13 ^ c5, 52);
  store<u32>(out, s14 ^ c6, 56);
  store<u32>(out, s15 ^ c7, 60);
}

@inline
function add(a: v128, b: v128): v128 {
  return i32x4.add(a, b);
}
@inline
function add3(a: v128, b: v128, c: v128): v128 {
  return i32x4.add(i32x4.add(a, b), c);
}
@inline
function rot16(a: v128, b: v128): v128 {
  const x = v128.xor(a, b);
  return v128.shuffle<u8>(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}
@inline
function rot8(a: v128, b: v128): v128 {
  const x = v128.xor(a, b);
  return v128.shuffle<u8>(x, x, 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12);
}
@inline
function rot12(a: v128, b: v128): v128 {
  const x = v128.xor(a, b);
  return v128.or(i32x4.shr_u(x, 12), i32x4.shl(x, 20));
}
@inline
function rot7(a: v128, b: v128): v128 {
  const x = v128.xor(a, b);
  return v128.or(i32x4.shr_u(x, 7), i32x4.shl(x, 25));
}
@inline
function low32(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(a, b, 0, 4, 1, 5);
}
@inline
function high32(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(a, b, 2, 6, 3, 7);
}
@inline
function low64(a: v128, b: v128): v128 {
  return v128.shuffle<u64>(a, b, 0, 2);
}
@inline
function high64(a: v128, b: v128): v128 {
  return v128.shuffle<u64>(a, b, 1, 3);
}

/**
 * Four chaining values, 32 bytes each, of four inputs of `blocks` blocks each that lie `stride` bytes apart. Lane i has the
 * counter `counter + i * step`. Rounds are written out: a lane's state and message stay in local variables.
 */
function hash4(input: usize, stride: usize, blocks: u32, key: usize, counter: u64, step: u64, flags: u32, first: u32, last: u32, out: usize): void {
  let b0 = input, b1 = input + stride, b2 = input + 2 * stride, b3 = input + 3 * stride;
  const c1 = counter + step, c2 = c1 + step, c3 = c2 + step;
  const counterLow = i32x4.replace_lane(i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(<i32>counter), 1, <i32>c1), 2, <i32>c2), 3, <i32>c3);
  const counterHigh = i32x4.replace_lane(i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(<i32>(counter >> 32)), 1, <i32>(c1 >> 32)), 2, <i32>(c2 >> 32)), 3, <i32>(c3 >> 32));
  let h0 = v128.load32_splat(key, 0);
  let h1 = v128.load32_splat(key, 4);
  let h2 = v128.load32_splat(key, 8);
  let h3 = v128.load32_splat(key, 12);
  let h4 = v128.load32_splat(key, 16);
  let h5 = v128.load32_splat(key, 20);
  let h6 = v128.load32_splat(key, 24);
  let h7 = v128.load32_splat(key, 28);
  let x0: v128, x1: v128, x2: v128, x3: v128, y0: v128, y1: v128, y2: v128, y3: v128;
  let edge = first;
  for (let block: u32 = 1; block <= blocks; block++) {
    // Sixteen message words, each a vector of four lanes: a 4x4 transposition for every 16 bytes.
    x0 = v128.load(b0, 0); x1 = v128.load(b1, 0); x2 = v128.load(b2, 0); x3 = v128.load(b3, 0);
    y0 = low32(x0, x1); y1 = high32(x0, x1); y2 = low32(x2, x3); y3 = high32(x2, x3);
    let m0 = low64(y0, y2), m1 = high64(y0, y2), m2 = low64(y1, y3), m3 = high64(y1, y3);
    x0 = v128.load(b0, 16); x1 = v128.load(b1, 16); x2 = v128.load(b2, 16); x3 = v128.load(b3, 16);
    y0 = low32(x0, x1); y1 = high32(x0, x1); y2 = low32(x2, x3); y3 = high32(x2, x3);
    let m4 = low64(y0, y2), m5 = high64(y0, y2), m6 = low64(y1, y3), m7 = high64(y1, y3);
    x0 = v128.load(b0, 32); x1 = v128.load(b1, 32); x2 = v128.load(b2, 32); x3 = v128.load(b3, 32);
    y0 = low32(x0, x1); y1 = high32(x0, x1); y2 = low32(x2, x3); y3 = high32(x2, x3);
    let m8 = low64(y0, y2), m9 = high64(y0, y2), m10 = low64(y1, y3), m11 = high64(y1, y3);
    x0 = v128.load(b0, 48); x1 = v128.load(b1, 48); x2 = v128.load(b2, 48); x3 = v128.load(b3, 48);
    y0 = low32(x0, x1); y1 = high32(x0, x1); y2 = low32(x2, x3); y3 = high32(x2, x3);
    let m12 = low64(y0, y2), m13 = high64(y0, y2), m14 = low64(y1, y3), m15 = high64(y1, y3);
    b0 += BLOCK_BYTES; b1 += BLOCK_BYTES; b2 += BLOCK_BYTES; b3 += BLOCK_BYTES;

    let s0 = h0;
    let s1 = h1;
    let s2 = h2;
    let s3 = h3;
    let s4 = h4;
    let s5 = h5;
    let s6 = h6;
    let s7 = h7;
    let s8 = i32x4.splat(0x6a09e667), s9 = i32x4.splat(0xbb67ae85), s10 = i32x4.splat(0x3c6ef372), s11 = i32x4.splat(0xa54ff53a);
    let s12 = counterLow, s13 = counterHigh, s14 = i32x4.splat(<i32>BLOCK_BYTES);
    if (block == blocks) edge |= last;
    let s15 = i32x4.splat(flags | edge);
    edge = 0;
    // Round 1.
    s0 = add3(s0, s4, m0); s12 = rot16(s12, s0); s8 = add(s8, s12); s4 = rot12(s4, s8);
    s1 = add3(s1, s5, m2); s13 = rot16(s13, s1); s9 = add(s9, s13); s5 = rot12(s5, s9);
    s2 = add3(s2, s6, m4); s14 = rot16(s14, s2); s10 = add(s10, s14); s6 = rot12(s6, s10);
    s3 = add3(s3, s7, m6); s15 = rot16(s15, s3); s11 = add(s11, s15); s7 = rot12(s7, s11);
    s0 = add3(s0, s4, m1); s12 = rot8(s12, s0); s8 = add(s8, s12); s4 = rot7(s4, s8);
    s1 = add3(s1, s5, m3); s13 = rot8(s13, s1); s9 = add(s9, s13); s5 = rot7(s5, s9);
    s2 = add3(s2, s6, m5); s14 = rot8(s14, s2); s10 = add(s10, s14); s6 = rot7(s6, s10);
    s3 = add3(s3, s7, m7); s15 = rot8(s15, s3); s11 = add(s11, s15); s7 = rot7(s7, s11);
    s0 = add3(s0, s5, m8); s15 = rot16(s15, s0); s10 = add(s10, s15); s5 = rot12(s5, s10);
    s1 = add3(s1, s6, m10); s12 = rot16(s12, s1); s11 = add(s11, s12); s6 = rot12(s6, s11);
    s2 = add3(s2, s7, m12); s13 = rot16(s13, s2); s8 = add(s8, s13); s7 = rot12(s7, s8);
    s3 = add3(s3, s4, m14); s14 = rot16(s14, s3); s9 = add(s9, s14); s4 = rot12(s4, s9);
    s0 = add3(s0, s5, m9); s15 = rot8(s15, s0); s10 = add(s10, s15); s5 = rot7(s5, s10);
    s1 = add3(s1, s6, m11); s12 = rot8(s12, s1); s11 = add(s11, s12); s6 = rot7(s6, s11);
    s2 = add3(s2, s7, m13); s13 = rot8(s13, s2); s8 = add(s8, s13); s7 = rot7(s7, s8);
    s3 = add3(s3, s4, m15); s14 = rot8(s14, s3); s9 = add(s9, s14); s4 = rot7(s4, s9);
    // Round 2.
    s0 = add3(s0, s4, m2); s12 = rot16(s12, s0); s8 = add(s8, s12); s4 = rot12(s4, s8);
    s1 = add3(s1, s5, m3); s13 = rot16(s13, s1); s9 = add(s9, s13); s5 = rot12(s5, s9);
    s2 = add3(s2, s6, m7); s14 = rot16(s14, s2); s10 = add(s10, s14); s6 = rot12(s6, s10);
    s3 = add3(s3, s7, m4); s15 = rot16(s15, s3); s11 = add(s11, s15); s7 = rot12(s7, s11);
    s0 = add3(s0, s4, m6); s12 = rot8(s12, s0); s8 = add(s8, s12); s4 = rot7(s4, s8);
    s1 = add3(s1, s5, m10); s13 = rot8(s13, s1); s9 = add(s9, s13); s5 = rot7(s5, s9);
    s2 = add3(s2, s6, m0); s14 = rot8(s14, s2); s10 = add(s10, s14); s6 = rot7(s6, s10);
    s3 = add3(s3, s7, m13); s15 = rot8(s15, s3); s11 = add(s11, s15); s7 = rot7(s7, s11);
    s0 = add3(s0, s5, m1); s15 = rot16(s15, s0); s10 = add(s10, s15); s5 = rot12(s5, s10);
    s1 = add3(s1, s6, m12); s12 = rot16(s12, s1); s11 = add(s11, s12); s6 = rot12(s6, s11);
    s2 = add3(s2, s7, m9); s13 = rot16(s13, s2); s8 = add(s8, s13); s7 = rot12(s7, s8);
    s3 = add3(s3, s4, m15); s14 = rot16(s14, s3); s9 = add(s9, s14); s4 = rot12(s4, s9);
    s0 = add3(s0, s5, m11); s15 = rot8(s15, s0); s10 = add(s10, s15); s5 = rot7(s5, s10);
    s1 = add3(s1, s6, m5); s12 = rot8(s12, s1); s11 = add(s11, s12); s6 = rot7(s6, s11);
    s2 = add3(s2, s7, m14); s13 = rot8(s13, s2); s8 = add(s8, s13); s7 = rot7(s7, s8);
    s3 = add3(s3, s4, m8); s14 = rot8(s14, s3); s9 = add(s9, s14); s4 = rot7(s4, s9);
    // Round 3.
    s0 = add3(s0, s4, m3); s12 = rot16(s12, s0); s8 = add(s8, s12); s4 = rot12(s4, s8);
    s1 = add3(s1, s5, m10); s13 = rot16(s13, s1); s9 = add(s9, s13); s5 = rot12(s5, s9);
    s2 = add3(s2, s6, m13); s14 = rot16(s14, s2); s10 = add(s10, s14); s6 = rot12(s6, s10);
    s3 = add3(s3, s7, m7); s15 = rot16(s15, s3); s11 = add(s11, s15); s7 = rot12(s7, s11);
    s0 = add3(s0, s4, m4); s12 = rot8(s12, s0); s8 = add(s8, s12); s4 = rot7(s4, s8);
    s1 = add3(s1, s5, m12); s13 = rot8(s13, s1); s9 = add(s9, s13); s5 = rot7(s5, s9);
    s2 = add3(s2, s6, m2); s14 = rot8(s14, s2); s10 = add(s10, s14); s6 = rot7(s6, s10);
    s3 = add3(s3, s7, m14); s15 = rot8(s15, s3); s11 = add(s11, s15); s7 = rot7(s7, s11);
    s0 = add3(s0, s5, m6); s15 = rot16(s15, s0); s10 = add(s10, s15); s5 = rot12(s5, s10);
    s1 = add3(s1, s6, m9); s12 = rot16(s12, s1); s11 = add(s11, s12); s6 = rot12(s6, s11);
    s2 = add3(s2, s7, m11); s13 = rot16(s13, s2); s8 = add(s8, s13); s7 = rot12(s7, s8);
    s3 = add3(s3, s4, m8); s14 = rot16(s14, s3); s9 = add(s9, s14); s4 = rot12(s4, s9);
    s0 = add3(s0, s5, m5); s15 = rot8(s15, s0); s10 = add(s10, s15); s5 = rot7(s5, s10);
    s1 = add3(s1, s6, m0); s12 = rot8(s12, s1); s11 = add(s11, s12); s6 = rot7(s6, s11);
    s2 = add3(s2, s7, m15); s13 = rot8(s13, s2); s8 = add(s8, s13); s7 = rot7(s7, s8);
    s3 = add3(s3, s4, m1); s14 = rot8(s14, s3); s9 = add(s9, s14); s4 = rot7(s4, s9);
    // Round 4.
    s0 = add3(s0, s4, m10); s12 = rot16(s12, s0); s8 = add(s8, s12); s4 = rot12(s4, s8);
    s1 = add3(s1, s5, m12); s13 = rot16(s13, s1); s9 = add(s9, s13); s5 = rot12(s5, s9);
    s2 = add3(s2, s6, m14); s14 = rot16(s14, s2); s10 = add(s10, s14); s6 = rot12(s6, s10);
    s3 = add3(s3, s7, m13); s15 = rot16(s15, s3); s11 = add(s11, s15); s7 = rot12(s7, s11);
    s0 = add3(s0, s4, m7); s12 = rot8(s12, s0); s8 = add(s8, s12); s4 = rot7(s4, s8);
    s1 = add3(s1, s5, m9); s13 = rot8(s13, s1); s9 = add(s9, s13); s5 = rot7(s5, s9);
    s2 = add3(s2, s6, m3); s14 = rot8(s14, s2); s10 = add(s10, s14); s6 = rot7(s6, s10);
    s3 = add3(s3, s7, m15); s15 = rot8(s15, s3); s11 = add(s11, s15); s7 = rot7(s7, s11);
    s0 = add3(s0, s5, m4); s15 = rot16(s15, s0); s10 = add(s10, s15); s5 = rot12(s5, s10);
    s1 = add3(s1, s6, m11); s12 = rot16(s12, s1); s11 = add(s11, s12); s6 = rot12(s6, s11);
    s2 = add3(s2, s7, m5); s13 = rot16(s13, s2); s8 = add(s8, s13); s7 = rot12(s7, s8);
    s3 = add3(s3, s4, m1); s14 = rot16(s14, s3); s9 = add(s9, s14); s4 = rot12(s4, s9);
    s0 = add3(s0, s5, m0); s15 = rot8(s15, s0); s10 = add(s10, s15); s5 = rot7(s5, s10);
    s1 = add3(s1, s6, m2); s12 = rot8(s12, s1); s11 = add(s11, s12); s6 = rot7(s6, s11);
    s2 = add3(s2, s7, m8); s13 = rot8(s13, s2); s8 = add(s8, s13); s7 = rot7(s7, s8);
    s3 = add3(s3, s4, m6); s14 = rot8(s14, s3); s9 = add(s9, s14); s4 = rot7(s4, s9);
    // Round 5.
    s0 = add3(s0, s4, m12); s12 = rot16(s12, s0); s8 = add(s8, s12); s4 = rot12(s4, s8);
    s1 = add3(s1, s5, m9); s13 = rot16(s13, s1); s9 = add(s9, s13); s5 = rot12(s5, s9);
    s2 = add3(s2, s6, m15); s14 = rot16(s14, s2); s10 = add(s10, s14); s6 = rot12(s6, s10);
    s3 = add3(s3, s7, m14); s15 = rot16(s15, s3); s11 = add(s11, s15); s7 = rot12(s7, s11);
    s0 = add3(s0, s4, m13); s12 = rot8(s12, s0); s8 = add(s8, s12); s4 = rot7(s4, s8);
    s1 = add3(s1, s5, m11); s13 = rot8(s13, s1); s9 = add(s9, s13); s5 = rot7(s5, s9);
    s2 = add3(s2, s6, m10); s14 = rot8(s14, s2); s10 = add(s10, s14); s6 = rot7(s6, s10);
    s3 = add3(s3, s7, m8); s15 = rot8(s15, s3); s11 = add(s11, s15); s7 = rot7(s7, s11);
    s0 = add3(s0, s5, m7); s15 = rot16(s15, s0); s10 = add(s10, s15); s5 = rot12(s5, s10);
    s1 = add3(s1, s6, m5); s12 = rot16(s12, s1); s11 = add(s11, s12); s6 = rot12(s6, s11);
    s2 = add3(s2, s7, m0); s13 = rot16(s13, s2); s8 = add(s8, s13); s7 = rot12(s7, s8);
    s3 = add3(s3, s4, m6); s14 = rot16(s14, s3); s9 = add(s9, s14); s4 = rot12(s4, s9);
    s0 = add3(s0, s5, m2); s15 = rot8(s15, s0); s10 = add(s10, s15); s5 = rot7(s5, s10);
    s1 = add3(s1, s6, m3); s12 = rot8(s12, s1); s11 = add(s11, s12); s6 = rot7(s6, s11);
    s2 = add3(s2, s7, m1); s13 = rot8(s13, s2); s8 = add(s8, s13); s7 = rot7(s7, s8);
    s3 = add3(s3, s4, m4); s14 = rot8(s14, s3); s9 = add(s9, s14); s4 = rot7(s4, s9);
    // Round 6.
    s0 = add3(s0, s4, m9); s12 = rot16(s12, s0); s8 = add(s8, s12); s4 = rot12(s4, s8);
    s1 = add3(s1, s5, m11); s13 = rot16(s13, s1); s9 = add(s9, s13); s5 = rot12(s5, s9);
    s2 = add3(s2, s6, m8); s14 = rot16(s14, s2); s10 = add(s10, s14); s6 = rot12(s6, s10);
    s3 = add3(s3, s7, m15); s15 = rot16(s15, s3); s11 = add(s11, s15); s7 = rot12(s7, s11);
    s0 = add3(s0, s4, m14); s12 = rot8(s12, s0); s8 = add(s8, s12); s4 = rot7(s4, s8);
    s1 = add3(s1, s5, m5); s13 = rot8(s13, s1); s9 = add(s9, s13); s5 = rot7(s5, s9);
    s2 = add3(s2, s6, m12); s14 = rot8(s14, s2); s10 = add(s10, s14); s6 = rot7(s6, s10);
    s3 = add3(s3, s7, m1); s15 = rot8(s15, s3); s11 = add(s11, s15); s7 = rot7(s7, s11);
    s0 = add3(s0, s5, m13); s15 = rot16(s15, s0); s10 = add(s10, s15); s5 = rot12(s5, s10);
    s1 = add3(s1, s6, m0); s12 = rot16(s12, s1); s11 = add(s11, s12); s6 = rot12(s6, s11);
    s2 = add3(s2, s7, m2); s13 = rot16(s13, s2); s8 = add(s8, s13); s7 = rot12(s7, s8);
    s3 = add3(s3, s4, m4); s14 = rot16(s14, s3); s9 = add(s9, s14); s4 = rot12(s4, s9);
    s0 = add3(s0, s5, m3); s15 = rot8(s15, s0); s10 = add(s10, s15); s5 = rot7(s5, s10);
    s1 = add3(s1, s6, m10); s12 = rot8(s12, s1); s11 = add(s11, s12); s6 = rot7(s6, s11);
    s2 = add3(s2, s7, m6); s13 = rot8(s13, s2); s8 = add(s8, s13); s7 = rot7(s7, s8);
    s3 = add3(s3, s4, m7); s14 = rot8(s14, s3); s9 = add(s9, s14); s4 = rot7(s4, s9);
    // Round 7.
    s0 = add3(s0, s4, m11); s12 = rot16(s12, s0); s8 = add(s8, s12); s4 = rot12(s4, s8);
    s1 = add3(s1, s5, m5); s13 = rot16(s13, s1); s9 = add(s9, s13); s5 = rot12(s5, s9);
    s2 = add3(s2, s6, m1); s14 = rot16(s14, s2); s10 = add(s10, s14); s6 = rot12(s6, s10);
    s3 = add3(s3, s7, m8); s15 = rot16(s15, s3); s11 = add(s11, s15); s7 = rot12(s7, s11);
    s0 = add3(s0, s4, m15); s12 = rot8(s12, s0); s8 = add(s8, s12); s4 = rot7(s4, s8);
    s1 = add3(s1, s5, m0); s13 = rot8(s13, s1); s9 = add(s9, s13); s5 = rot7(s5, s9);
    s2 = add3(s2, s6, m9); s14 = rot8(s14, s2); s10 = add(s10, s14); s6 = rot7(s6, s10);
    s3 = add3(s3, s7, m6); s15 = rot8(s15, s3); s11 = add(s11, s15); s7 = rot7(s7, s11);
    s0 = add3(s0, s5, m14); s15 = rot16(s15, s0); s10 = add(s10, s15); s5 = rot12(s5, s10);
    s1 = add3(s1, s6, m2); s12 = rot16(s12, s1); s11 = add(s11, s12); s6 = rot12(s6, s11);
    s2 = add3(s2, s7, m3); s13 = rot16(s13, s2); s8 = add(s8, s13); s7 = rot12(s7, s8);
    s3 = add3(s3, s4, m7); s14 = rot16(s14, s3); s9 = add(s9, s14); s4 = rot12(s4, s9);
    s0 = add3(s0, s5, m10); s15 = rot8(s15, s0); s10 = add(s10, s15); s5 = rot7(s5, s10);
    s1 = add3(s1, s6, m12); s12 = rot8(s12, s1); s11 = add(s11, s12); s6 = rot7(s6, s11);
    s2 = add3(s2, s7, m4); s13 = rot8(s13, s2); s8 = add(s8, s13); s7 = rot7(s7, s8);
    s3 = add3(s3, s4, m13); s14 = rot8(s14, s3); s9 = add(s9, s14); s4 = rot7(s4, s9);
    h0 = v128.xor(s0, s8);
    h1 = v128.xor(s1, s9);
    h2 = v128.xor(s2, s10);
    h3 = v128.xor(s3, s11);
    h4 = v128.xor(s4, s12);
    h5 = v128.xor(s5, s13);
    h6 = v128.xor(s6, s14);
    h7 = v128.xor(s7, s15);
  }
  transposeOut(h0, h1, h2, h3, out);
  transposeOut(h4, h5, h6, h7, out + 16);
}

@inline
function transposeOut(a: v128, b: v128, c: v128, d: v128, out: usize): void {
  const x0 = low32(a, b), x1 = high32(a, b), x2 = low32(c, d), x3 = high32(c, d);
  v128.store(out, low64(x0, x2));
  v128.store(out, high64(x0, x2), 32);
  v128.store(out, low64(x1, x3), 64);
  v128.store(out, high64(x1, x3), 96);
}
