/** The cipher table: the one place that knows which block ciphers exist. To add one, add a file and a row. @module */
import { aes } from './aes.ts'
import { anubis } from './anubis.ts'
import { aria } from './aria.ts'
import type { BlockCipherSpec } from './block-cipher-spec.ts'
import { camellia } from './camellia.ts'
import { cast6 } from './cast6.ts'
import { invalid } from './check.ts'
import { kalyna } from './kalyna.ts'
import { kuznyechik } from './kuznyechik.ts'
import { mars } from './mars.ts'
import { serpent } from './serpent.ts'
import { simon } from './simon.ts'
import { sm4 } from './sm4.ts'
import { speck } from './speck.ts'
import { threefish } from './threefish.ts'
import { twofish } from './twofish.ts'

export const blockCiphers: readonly BlockCipherSpec[] = [
  aes,
  anubis,
  aria,
  camellia,
  cast6,
  kalyna,
  kuznyechik,
  mars,
  serpent,
  simon,
  sm4,
  speck,
  threefish,
  twofish,
]

const ALIASES: Readonly<Record<string, string>> = { rijndael: 'aes' }

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when there is no such cipher */
export const cipherByName = (name: string): BlockCipherSpec => {
  const wanted = Object.hasOwn(ALIASES, name) ? ALIASES[name] : name
  const spec = blockCiphers.find(candidate => candidate.name === wanted)
  if (spec !== undefined) return spec
  const expected = blockCiphers.map(candidate => candidate.name).join(', ')
  throw invalid(`unknown cipher ${name}: expected one of ${expected}`, { argument: 'name', got: name })
}
