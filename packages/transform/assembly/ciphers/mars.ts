// MARS (Burwick et al., "MARS - a candidate cipher for AES", 1999) with the tweaked key schedule. Words are
// little-endian. Instead of rotating the four data words after every round, rounds are written out by four with the
// roles of the words turning. Two blocks take turns, since a round waits for the one before it.
import { ctrOver } from './shared/ctr'

// S-box: S0 then S1, 256 words each, see src/ciphers/mars.ts.
const S: usize = memory.data(2048, 16)

// The expanded key: 40 words.

export function tables(): usize {
  return S
}

// @ts-ignore: decorator
@inline
function s0(x: u32): u32 {
  return load<u32>((x << 2) & 0x3fc, S)
}

// @ts-ignore: decorator
@inline
function s1(x: u32): u32 {
  return load<u32>((x << 2) & 0x3fc, S + 1024)
}

/** The nine-bit look-up over both halves. */
// @ts-ignore: decorator
@inline
function s(x: u32): u32 {
  return load<u32>((x << 2) & 0x7fc, S)
}

/** Two blocks, `other` bytes apart. */
function encryptTwo(key: usize, source: usize, target: usize, other: usize): void {
  let xa = load<u32>(source, 0) + load<u32>(key, 0)
  let xb = load<u32>(source, 4) + load<u32>(key, 4)
  let xc = load<u32>(source, 8) + load<u32>(key, 8)
  let xd = load<u32>(source, 12) + load<u32>(key, 12)
  let ya = load<u32>(source + other, 0) + load<u32>(key, 0)
  let yb = load<u32>(source + other, 4) + load<u32>(key, 4)
  let yc = load<u32>(source + other, 8) + load<u32>(key, 8)
  let yd = load<u32>(source + other, 12) + load<u32>(key, 12)
  // Forward mixing, section 2.2.
  xb = (xb ^ s0(xa)) + s1(xa >> 8)
  xc += s0(xa >> 16)
  xd ^= s1(xa >> 24)
  xa = rotr<u32>(xa, 24)
  xa += xd
  yb = (yb ^ s0(ya)) + s1(ya >> 8)
  yc += s0(ya >> 16)
  yd ^= s1(ya >> 24)
  ya = rotr<u32>(ya, 24)
  ya += yd
  xc = (xc ^ s0(xb)) + s1(xb >> 8)
  xd += s0(xb >> 16)
  xa ^= s1(xb >> 24)
  xb = rotr<u32>(xb, 24)
  xb += xc
  yc = (yc ^ s0(yb)) + s1(yb >> 8)
  yd += s0(yb >> 16)
  ya ^= s1(yb >> 24)
  yb = rotr<u32>(yb, 24)
  yb += yc
  xd = (xd ^ s0(xc)) + s1(xc >> 8)
  xa += s0(xc >> 16)
  xb ^= s1(xc >> 24)
  xc = rotr<u32>(xc, 24)
  yd = (yd ^ s0(yc)) + s1(yc >> 8)
  ya += s0(yc >> 16)
  yb ^= s1(yc >> 24)
  yc = rotr<u32>(yc, 24)
  xa = (xa ^ s0(xd)) + s1(xd >> 8)
  xb += s0(xd >> 16)
  xc ^= s1(xd >> 24)
  xd = rotr<u32>(xd, 24)
  ya = (ya ^ s0(yd)) + s1(yd >> 8)
  yb += s0(yd >> 16)
  yc ^= s1(yd >> 24)
  yd = rotr<u32>(yd, 24)
  xb = (xb ^ s0(xa)) + s1(xa >> 8)
  xc += s0(xa >> 16)
  xd ^= s1(xa >> 24)
  xa = rotr<u32>(xa, 24)
  xa += xd
  yb = (yb ^ s0(ya)) + s1(ya >> 8)
  yc += s0(ya >> 16)
  yd ^= s1(ya >> 24)
  ya = rotr<u32>(ya, 24)
  ya += yd
  xc = (xc ^ s0(xb)) + s1(xb >> 8)
  xd += s0(xb >> 16)
  xa ^= s1(xb >> 24)
  xb = rotr<u32>(xb, 24)
  xb += xc
  yc = (yc ^ s0(yb)) + s1(yb >> 8)
  yd += s0(yb >> 16)
  ya ^= s1(yb >> 24)
  yb = rotr<u32>(yb, 24)
  yb += yc
  xd = (xd ^ s0(xc)) + s1(xc >> 8)
  xa += s0(xc >> 16)
  xb ^= s1(xc >> 24)
  xc = rotr<u32>(xc, 24)
  yd = (yd ^ s0(yc)) + s1(yc >> 8)
  ya += s0(yc >> 16)
  yb ^= s1(yc >> 24)
  yc = rotr<u32>(yc, 24)
  xa = (xa ^ s0(xd)) + s1(xd >> 8)
  xb += s0(xd >> 16)
  xc ^= s1(xd >> 24)
  xd = rotr<u32>(xd, 24)
  ya = (ya ^ s0(yd)) + s1(yd >> 8)
  yb += s0(yd >> 16)
  yc ^= s1(yd >> 24)
  yd = rotr<u32>(yd, 24)
  let at: usize
  // Keyed transformation: eight rounds in forward mode, eight in backward mode.
  for (at = key + 16; at < key + 80; at += 32) {
    const sumx0 = xa + load<u32>(at, 0)
    const rx0 = rotl<u32>(rotl<u32>(xa, 13) * load<u32>(at, 4), 5)
    const rightx0 = rotl<u32>(rx0, 5)
    const leftx0 = rotl<u32>(s(sumx0) ^ rx0 ^ rightx0, rightx0)
    const middlex0 = rotl<u32>(sumx0, rx0)
    xa = rotl<u32>(xa, 13)
    xc += middlex0
    xb += leftx0
    xd ^= rightx0
    const sumy0 = ya + load<u32>(at, 0)
    const ry0 = rotl<u32>(rotl<u32>(ya, 13) * load<u32>(at, 4), 5)
    const righty0 = rotl<u32>(ry0, 5)
    const lefty0 = rotl<u32>(s(sumy0) ^ ry0 ^ righty0, righty0)
    const middley0 = rotl<u32>(sumy0, ry0)
    ya = rotl<u32>(ya, 13)
    yc += middley0
    yb += lefty0
    yd ^= righty0
    const sumx1 = xb + load<u32>(at, 8)
    const rx1 = rotl<u32>(rotl<u32>(xb, 13) * load<u32>(at, 12), 5)
    const rightx1 = rotl<u32>(rx1, 5)
    const leftx1 = rotl<u32>(s(sumx1) ^ rx1 ^ rightx1, rightx1)
    const middlex1 = rotl<u32>(sumx1, rx1)
    xb = rotl<u32>(xb, 13)
    xd += middlex1
    xc += leftx1
    xa ^= rightx1
    const sumy1 = yb + load<u32>(at, 8)
    const ry1 = rotl<u32>(rotl<u32>(yb, 13) * load<u32>(at, 12), 5)
    const righty1 = rotl<u32>(ry1, 5)
    const lefty1 = rotl<u32>(s(sumy1) ^ ry1 ^ righty1, righty1)
    const middley1 = rotl<u32>(sumy1, ry1)
    yb = rotl<u32>(yb, 13)
    yd += middley1
    yc += lefty1
    ya ^= righty1
    const sumx2 = xc + load<u32>(at, 16)
    const rx2 = rotl<u32>(rotl<u32>(xc, 13) * load<u32>(at, 20), 5)
    const rightx2 = rotl<u32>(rx2, 5)
    const leftx2 = rotl<u32>(s(sumx2) ^ rx2 ^ rightx2, rightx2)
    const middlex2 = rotl<u32>(sumx2, rx2)
    xc = rotl<u32>(xc, 13)
    xa += middlex2
    xd += leftx2
    xb ^= rightx2
    const sumy2 = yc + load<u32>(at, 16)
    const ry2 = rotl<u32>(rotl<u32>(yc, 13) * load<u32>(at, 20), 5)
    const righty2 = rotl<u32>(ry2, 5)
    const lefty2 = rotl<u32>(s(sumy2) ^ ry2 ^ righty2, righty2)
    const middley2 = rotl<u32>(sumy2, ry2)
    yc = rotl<u32>(yc, 13)
    ya += middley2
    yd += lefty2
    yb ^= righty2
    const sumx3 = xd + load<u32>(at, 24)
    const rx3 = rotl<u32>(rotl<u32>(xd, 13) * load<u32>(at, 28), 5)
    const rightx3 = rotl<u32>(rx3, 5)
    const leftx3 = rotl<u32>(s(sumx3) ^ rx3 ^ rightx3, rightx3)
    const middlex3 = rotl<u32>(sumx3, rx3)
    xd = rotl<u32>(xd, 13)
    xb += middlex3
    xa += leftx3
    xc ^= rightx3
    const sumy3 = yd + load<u32>(at, 24)
    const ry3 = rotl<u32>(rotl<u32>(yd, 13) * load<u32>(at, 28), 5)
    const righty3 = rotl<u32>(ry3, 5)
    const lefty3 = rotl<u32>(s(sumy3) ^ ry3 ^ righty3, righty3)
    const middley3 = rotl<u32>(sumy3, ry3)
    yd = rotl<u32>(yd, 13)
    yb += middley3
    ya += lefty3
    yc ^= righty3
  }
  for (at = key + 80; at < key + 144; at += 32) {
    const sumx0 = xa + load<u32>(at, 0)
    const rx0 = rotl<u32>(rotl<u32>(xa, 13) * load<u32>(at, 4), 5)
    const rightx0 = rotl<u32>(rx0, 5)
    const leftx0 = rotl<u32>(s(sumx0) ^ rx0 ^ rightx0, rightx0)
    const middlex0 = rotl<u32>(sumx0, rx0)
    xa = rotl<u32>(xa, 13)
    xc += middlex0
    xd += leftx0
    xb ^= rightx0
    const sumy0 = ya + load<u32>(at, 0)
    const ry0 = rotl<u32>(rotl<u32>(ya, 13) * load<u32>(at, 4), 5)
    const righty0 = rotl<u32>(ry0, 5)
    const lefty0 = rotl<u32>(s(sumy0) ^ ry0 ^ righty0, righty0)
    const middley0 = rotl<u32>(sumy0, ry0)
    ya = rotl<u32>(ya, 13)
    yc += middley0
    yd += lefty0
    yb ^= righty0
    const sumx1 = xb + load<u32>(at, 8)
    const rx1 = rotl<u32>(rotl<u32>(xb, 13) * load<u32>(at, 12), 5)
    const rightx1 = rotl<u32>(rx1, 5)
    const leftx1 = rotl<u32>(s(sumx1) ^ rx1 ^ rightx1, rightx1)
    const middlex1 = rotl<u32>(sumx1, rx1)
    xb = rotl<u32>(xb, 13)
    xd += middlex1
    xa += leftx1
    xc ^= rightx1
    const sumy1 = yb + load<u32>(at, 8)
    const ry1 = rotl<u32>(rotl<u32>(yb, 13) * load<u32>(at, 12), 5)
    const righty1 = rotl<u32>(ry1, 5)
    const lefty1 = rotl<u32>(s(sumy1) ^ ry1 ^ righty1, righty1)
    const middley1 = rotl<u32>(sumy1, ry1)
    yb = rotl<u32>(yb, 13)
    yd += middley1
    ya += lefty1
    yc ^= righty1
    const sumx2 = xc + load<u32>(at, 16)
    const rx2 = rotl<u32>(rotl<u32>(xc, 13) * load<u32>(at, 20), 5)
    const rightx2 = rotl<u32>(rx2, 5)
    const leftx2 = rotl<u32>(s(sumx2) ^ rx2 ^ rightx2, rightx2)
    const middlex2 = rotl<u32>(sumx2, rx2)
    xc = rotl<u32>(xc, 13)
    xa += middlex2
    xb += leftx2
    xd ^= rightx2
    const sumy2 = yc + load<u32>(at, 16)
    const ry2 = rotl<u32>(rotl<u32>(yc, 13) * load<u32>(at, 20), 5)
    const righty2 = rotl<u32>(ry2, 5)
    const lefty2 = rotl<u32>(s(sumy2) ^ ry2 ^ righty2, righty2)
    const middley2 = rotl<u32>(sumy2, ry2)
    yc = rotl<u32>(yc, 13)
    ya += middley2
    yb += lefty2
    yd ^= righty2
    const sumx3 = xd + load<u32>(at, 24)
    const rx3 = rotl<u32>(rotl<u32>(xd, 13) * load<u32>(at, 28), 5)
    const rightx3 = rotl<u32>(rx3, 5)
    const leftx3 = rotl<u32>(s(sumx3) ^ rx3 ^ rightx3, rightx3)
    const middlex3 = rotl<u32>(sumx3, rx3)
    xd = rotl<u32>(xd, 13)
    xb += middlex3
    xc += leftx3
    xa ^= rightx3
    const sumy3 = yd + load<u32>(at, 24)
    const ry3 = rotl<u32>(rotl<u32>(yd, 13) * load<u32>(at, 28), 5)
    const righty3 = rotl<u32>(ry3, 5)
    const lefty3 = rotl<u32>(s(sumy3) ^ ry3 ^ righty3, righty3)
    const middley3 = rotl<u32>(sumy3, ry3)
    yd = rotl<u32>(yd, 13)
    yb += middley3
    yc += lefty3
    ya ^= righty3
  }
  // Backward mixing, section 2.4.
  xb ^= s1(xa)
  xc -= s0(xa >> 24)
  xd = (xd - s1(xa >> 16)) ^ s0(xa >> 8)
  xa = rotl<u32>(xa, 24)
  yb ^= s1(ya)
  yc -= s0(ya >> 24)
  yd = (yd - s1(ya >> 16)) ^ s0(ya >> 8)
  ya = rotl<u32>(ya, 24)
  xc ^= s1(xb)
  xd -= s0(xb >> 24)
  xa = (xa - s1(xb >> 16)) ^ s0(xb >> 8)
  xb = rotl<u32>(xb, 24)
  yc ^= s1(yb)
  yd -= s0(yb >> 24)
  ya = (ya - s1(yb >> 16)) ^ s0(yb >> 8)
  yb = rotl<u32>(yb, 24)
  xc -= xb
  xd ^= s1(xc)
  xa -= s0(xc >> 24)
  xb = (xb - s1(xc >> 16)) ^ s0(xc >> 8)
  xc = rotl<u32>(xc, 24)
  yc -= yb
  yd ^= s1(yc)
  ya -= s0(yc >> 24)
  yb = (yb - s1(yc >> 16)) ^ s0(yc >> 8)
  yc = rotl<u32>(yc, 24)
  xd -= xa
  xa ^= s1(xd)
  xb -= s0(xd >> 24)
  xc = (xc - s1(xd >> 16)) ^ s0(xd >> 8)
  xd = rotl<u32>(xd, 24)
  yd -= ya
  ya ^= s1(yd)
  yb -= s0(yd >> 24)
  yc = (yc - s1(yd >> 16)) ^ s0(yd >> 8)
  yd = rotl<u32>(yd, 24)
  xb ^= s1(xa)
  xc -= s0(xa >> 24)
  xd = (xd - s1(xa >> 16)) ^ s0(xa >> 8)
  xa = rotl<u32>(xa, 24)
  yb ^= s1(ya)
  yc -= s0(ya >> 24)
  yd = (yd - s1(ya >> 16)) ^ s0(ya >> 8)
  ya = rotl<u32>(ya, 24)
  xc ^= s1(xb)
  xd -= s0(xb >> 24)
  xa = (xa - s1(xb >> 16)) ^ s0(xb >> 8)
  xb = rotl<u32>(xb, 24)
  yc ^= s1(yb)
  yd -= s0(yb >> 24)
  ya = (ya - s1(yb >> 16)) ^ s0(yb >> 8)
  yb = rotl<u32>(yb, 24)
  xc -= xb
  xd ^= s1(xc)
  xa -= s0(xc >> 24)
  xb = (xb - s1(xc >> 16)) ^ s0(xc >> 8)
  xc = rotl<u32>(xc, 24)
  yc -= yb
  yd ^= s1(yc)
  ya -= s0(yc >> 24)
  yb = (yb - s1(yc >> 16)) ^ s0(yc >> 8)
  yc = rotl<u32>(yc, 24)
  xd -= xa
  xa ^= s1(xd)
  xb -= s0(xd >> 24)
  xc = (xc - s1(xd >> 16)) ^ s0(xd >> 8)
  xd = rotl<u32>(xd, 24)
  yd -= ya
  ya ^= s1(yd)
  yb -= s0(yd >> 24)
  yc = (yc - s1(yd >> 16)) ^ s0(yd >> 8)
  yd = rotl<u32>(yd, 24)
  store<u32>(target, xa - load<u32>(key, 144), 0)
  store<u32>(target, xb - load<u32>(key, 148), 4)
  store<u32>(target, xc - load<u32>(key, 152), 8)
  store<u32>(target, xd - load<u32>(key, 156), 12)
  store<u32>(target + other, ya - load<u32>(key, 144), 0)
  store<u32>(target + other, yb - load<u32>(key, 148), 4)
  store<u32>(target + other, yc - load<u32>(key, 152), 8)
  store<u32>(target + other, yd - load<u32>(key, 156), 12)
}

function decryptOne(key: usize, source: usize, target: usize): void {
  let xa = load<u32>(source, 0) + load<u32>(key, 144)
  let xb = load<u32>(source, 4) + load<u32>(key, 148)
  let xc = load<u32>(source, 8) + load<u32>(key, 152)
  let xd = load<u32>(source, 12) + load<u32>(key, 156)
  // Backward mixing undone.
  xd = rotr<u32>(xd, 24)
  xc = (xc ^ s0(xd >> 8)) + s1(xd >> 16)
  xb += s0(xd >> 24)
  xa ^= s1(xd)
  xd += xa
  xc = rotr<u32>(xc, 24)
  xb = (xb ^ s0(xc >> 8)) + s1(xc >> 16)
  xa += s0(xc >> 24)
  xd ^= s1(xc)
  xc += xb
  xb = rotr<u32>(xb, 24)
  xa = (xa ^ s0(xb >> 8)) + s1(xb >> 16)
  xd += s0(xb >> 24)
  xc ^= s1(xb)
  xa = rotr<u32>(xa, 24)
  xd = (xd ^ s0(xa >> 8)) + s1(xa >> 16)
  xc += s0(xa >> 24)
  xb ^= s1(xa)
  xd = rotr<u32>(xd, 24)
  xc = (xc ^ s0(xd >> 8)) + s1(xd >> 16)
  xb += s0(xd >> 24)
  xa ^= s1(xd)
  xd += xa
  xc = rotr<u32>(xc, 24)
  xb = (xb ^ s0(xc >> 8)) + s1(xc >> 16)
  xa += s0(xc >> 24)
  xd ^= s1(xc)
  xc += xb
  xb = rotr<u32>(xb, 24)
  xa = (xa ^ s0(xb >> 8)) + s1(xb >> 16)
  xd += s0(xb >> 24)
  xc ^= s1(xb)
  xa = rotr<u32>(xa, 24)
  xd = (xd ^ s0(xa >> 8)) + s1(xa >> 16)
  xc += s0(xa >> 24)
  xb ^= s1(xa)
  let at: usize
  // Keyed transformation undone.
  for (at = key + 144 - 32; at >= key + 80; at -= 32) {
    xd = rotr<u32>(xd, 13)
    const sumx3 = xd + load<u32>(at, 24)
    const rx3 = rotl<u32>(rotl<u32>(xd, 13) * load<u32>(at, 28), 5)
    const rightx3 = rotl<u32>(rx3, 5)
    const leftx3 = rotl<u32>(s(sumx3) ^ rx3 ^ rightx3, rightx3)
    xb -= rotl<u32>(sumx3, rx3)
    xc -= leftx3
    xa ^= rightx3
    xc = rotr<u32>(xc, 13)
    const sumx2 = xc + load<u32>(at, 16)
    const rx2 = rotl<u32>(rotl<u32>(xc, 13) * load<u32>(at, 20), 5)
    const rightx2 = rotl<u32>(rx2, 5)
    const leftx2 = rotl<u32>(s(sumx2) ^ rx2 ^ rightx2, rightx2)
    xa -= rotl<u32>(sumx2, rx2)
    xb -= leftx2
    xd ^= rightx2
    xb = rotr<u32>(xb, 13)
    const sumx1 = xb + load<u32>(at, 8)
    const rx1 = rotl<u32>(rotl<u32>(xb, 13) * load<u32>(at, 12), 5)
    const rightx1 = rotl<u32>(rx1, 5)
    const leftx1 = rotl<u32>(s(sumx1) ^ rx1 ^ rightx1, rightx1)
    xd -= rotl<u32>(sumx1, rx1)
    xa -= leftx1
    xc ^= rightx1
    xa = rotr<u32>(xa, 13)
    const sumx0 = xa + load<u32>(at, 0)
    const rx0 = rotl<u32>(rotl<u32>(xa, 13) * load<u32>(at, 4), 5)
    const rightx0 = rotl<u32>(rx0, 5)
    const leftx0 = rotl<u32>(s(sumx0) ^ rx0 ^ rightx0, rightx0)
    xc -= rotl<u32>(sumx0, rx0)
    xd -= leftx0
    xb ^= rightx0
  }
  for (at = key + 80 - 32; at >= key + 16; at -= 32) {
    xd = rotr<u32>(xd, 13)
    const sumx3 = xd + load<u32>(at, 24)
    const rx3 = rotl<u32>(rotl<u32>(xd, 13) * load<u32>(at, 28), 5)
    const rightx3 = rotl<u32>(rx3, 5)
    const leftx3 = rotl<u32>(s(sumx3) ^ rx3 ^ rightx3, rightx3)
    xb -= rotl<u32>(sumx3, rx3)
    xa -= leftx3
    xc ^= rightx3
    xc = rotr<u32>(xc, 13)
    const sumx2 = xc + load<u32>(at, 16)
    const rx2 = rotl<u32>(rotl<u32>(xc, 13) * load<u32>(at, 20), 5)
    const rightx2 = rotl<u32>(rx2, 5)
    const leftx2 = rotl<u32>(s(sumx2) ^ rx2 ^ rightx2, rightx2)
    xa -= rotl<u32>(sumx2, rx2)
    xd -= leftx2
    xb ^= rightx2
    xb = rotr<u32>(xb, 13)
    const sumx1 = xb + load<u32>(at, 8)
    const rx1 = rotl<u32>(rotl<u32>(xb, 13) * load<u32>(at, 12), 5)
    const rightx1 = rotl<u32>(rx1, 5)
    const leftx1 = rotl<u32>(s(sumx1) ^ rx1 ^ rightx1, rightx1)
    xd -= rotl<u32>(sumx1, rx1)
    xc -= leftx1
    xa ^= rightx1
    xa = rotr<u32>(xa, 13)
    const sumx0 = xa + load<u32>(at, 0)
    const rx0 = rotl<u32>(rotl<u32>(xa, 13) * load<u32>(at, 4), 5)
    const rightx0 = rotl<u32>(rx0, 5)
    const leftx0 = rotl<u32>(s(sumx0) ^ rx0 ^ rightx0, rightx0)
    xc -= rotl<u32>(sumx0, rx0)
    xb -= leftx0
    xd ^= rightx0
  }
  // Forward mixing undone.
  xd = rotl<u32>(xd, 24)
  xc ^= s1(xd >> 24)
  xb -= s0(xd >> 16)
  xa = (xa - s1(xd >> 8)) ^ s0(xd)
  xc = rotl<u32>(xc, 24)
  xb ^= s1(xc >> 24)
  xa -= s0(xc >> 16)
  xd = (xd - s1(xc >> 8)) ^ s0(xc)
  xb -= xc
  xb = rotl<u32>(xb, 24)
  xa ^= s1(xb >> 24)
  xd -= s0(xb >> 16)
  xc = (xc - s1(xb >> 8)) ^ s0(xb)
  xa -= xd
  xa = rotl<u32>(xa, 24)
  xd ^= s1(xa >> 24)
  xc -= s0(xa >> 16)
  xb = (xb - s1(xa >> 8)) ^ s0(xa)
  xd = rotl<u32>(xd, 24)
  xc ^= s1(xd >> 24)
  xb -= s0(xd >> 16)
  xa = (xa - s1(xd >> 8)) ^ s0(xd)
  xc = rotl<u32>(xc, 24)
  xb ^= s1(xc >> 24)
  xa -= s0(xc >> 16)
  xd = (xd - s1(xc >> 8)) ^ s0(xc)
  xb -= xc
  xb = rotl<u32>(xb, 24)
  xa ^= s1(xb >> 24)
  xd -= s0(xb >> 16)
  xc = (xc - s1(xb >> 8)) ^ s0(xb)
  xa -= xd
  xa = rotl<u32>(xa, 24)
  xd ^= s1(xa >> 24)
  xc -= s0(xa >> 16)
  xb = (xb - s1(xa >> 8)) ^ s0(xa)
  store<u32>(target, xa - load<u32>(key, 0), 0)
  store<u32>(target, xb - load<u32>(key, 4), 4)
  store<u32>(target, xc - load<u32>(key, 8), 8)
  store<u32>(target, xd - load<u32>(key, 12), 12)
}

export function encrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 1; blocks -= 2, source += 32, target += 32) encryptTwo(key, source, target, 16)
  if (blocks > 0) encryptTwo(key, source, target, 0)
}

export function decrypt(key: usize, source: usize, target: usize, blocks: u32): void {
  for (; blocks > 0; blocks--, source += 16, target += 16) decryptOne(key, source, target)
}

export function ctr(key: usize, work: usize, data: usize, blocks: u32): void {
  ctrOver(key, work, data, blocks, 16, encrypt)
}
