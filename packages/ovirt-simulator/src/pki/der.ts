/** Writes the few ASN.1 values that certificates are made of. @see ITU-T X.690, the distinguished encoding rules @module */

const TAG = { boolean: 1, integer: 2, bitString: 3, octetString: 4, oid: 6, utf8: 12, generalizedTime: 24 } as const
const SEQUENCE = 0x30
const SET = 0x31

const encode = (tag: number, content: Uint8Array): Uint8Array => {
  const { length } = content
  const lengthBytes: number[] = []
  for (let rest = length; length > 127 && rest > 0; rest = Math.floor(rest / 256)) lengthBytes.unshift(rest % 256)
  const head = length > 127 ? [0x80 | lengthBytes.length, ...lengthBytes] : [length]
  return Buffer.concat([Uint8Array.of(tag, ...head), content])
}

export const sequence = (...items: readonly Uint8Array[]): Uint8Array => encode(SEQUENCE, Buffer.concat(items))
export const set = (...items: readonly Uint8Array[]): Uint8Array => encode(SET, Buffer.concat(items))
export const boolean = (value: boolean): Uint8Array => encode(TAG.boolean, Uint8Array.of(value ? 0xff : 0))
export const octetString = (bytes: Uint8Array): Uint8Array => encode(TAG.octetString, bytes)
export const bitString = (bytes: Uint8Array, unusedBits = 0): Uint8Array =>
  encode(TAG.bitString, Buffer.concat([Uint8Array.of(unusedBits), bytes]))
export const utf8String = (text: string): Uint8Array => encode(TAG.utf8, Buffer.from(text))

/** A positive integer, big-endian. */
export const integer = (bytes: Uint8Array): Uint8Array =>
  encode(TAG.integer, (bytes[0] ?? 0) > 127 ? Buffer.concat([Uint8Array.of(0), bytes]) : bytes)

/** An object identifier from its dotted form. */
export const oid = (dotted: string): Uint8Array => {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const part of rest) {
    const groups = [part & 127]
    for (let more = part >>> 7; more > 0; more >>>= 7) groups.unshift((more & 127) | 128)
    bytes.push(...groups)
  }
  return encode(TAG.oid, Uint8Array.from(bytes))
}

export const generalizedTime = (ms: number): Uint8Array =>
  encode(TAG.generalizedTime, Buffer.from(`${new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '')}`))

/** `[number]`, constructed: what is inside keeps its own tag. */
export const explicit = (number: number, content: Uint8Array): Uint8Array => encode(0xa0 | number, content)
/** `[number]`, primitive: the tag replaces that of the content. */
export const implicit = (number: number, content: Uint8Array): Uint8Array => encode(0x80 | number, content)
