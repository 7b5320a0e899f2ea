/** The readable twins, by cipher. @module */
import { aes } from './aes.ts'
import { anubis } from './anubis.ts'
import { aria } from './aria.ts'
import { camellia } from './camellia.ts'
import { cast6 } from './cast6.ts'
import { kalyna } from './kalyna.ts'
import { kuznyechik } from './kuznyechik.ts'
import { mars } from './mars.ts'
import { serpent } from './serpent.ts'
import { simon } from './simon.ts'
import { sm4 } from './sm4.ts'
import { speck } from './speck.ts'
import { threefish } from './threefish.ts'
import type { Twin } from './twin.ts'
import { twofish } from './twofish.ts'

export const twins: Readonly<Record<string, Twin>> = {
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
}
