/** BLAKE2b-256 against @noble/hashes. */
import { blake2b } from '@noble/hashes/blake2.js'
import t from 'tap'
import { seededBytes } from '@granary/testing'
import { blake2b256 } from '../../src/imageio/blake2b.ts'

for (const length of [0, 1, 127, 128, 129, 256, 1000, 65_536])
  t.test(`${length} bytes`, async t => {
    const bytes = seededBytes(length, length)
    t.equal(Buffer.from(blake2b256(bytes)).toString('hex'), Buffer.from(blake2b(bytes, { dkLen: 32 })).toString('hex'))
  })
