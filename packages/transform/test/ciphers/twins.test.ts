import t from 'tap'
import { seededBytes } from '@granary/testing'
import { blockCipher, blockCiphers } from '../../src/index.ts'
import { twins } from './twins/index.ts'
import { toHex } from './vectors.ts'

// Alone it takes seconds; on a busy machine tap's 30 would not do.
t.setTimeout(600_000)

const isLong = process.env['GRANARY_TEST_LONG'] !== undefined

/** Monte-Carlo steps: all of them for the longest key of each block size, a tenth for the others unless the suite is long. */
const STEPS = 10_000

for (const spec of blockCiphers)
  for (const { blockBits, keyBits } of spec.sizes)
    for (const bits of keyBits) {
      const steps = bits === keyBits.at(-1) || isLong ? STEPS : STEPS / 10
      t.test(`${spec.name}, block ${blockBits}, key ${bits}: ${steps} chained blocks agree with the twin`, async t => {
        const key = seededBytes(bits / 8, bits + blockBits)
        const tweak = seededBytes(spec.tweakBytes, 3)
        const fast = blockCipher(spec.name, key, { blockBits, tweak })
        const twin = twins[spec.name]?.(key, { blockBytes: blockBits / 8, tweak })
        if (twin === undefined) return t.fail('no twin')
        const start = seededBytes(blockBits / 8, bits)
        let a = start
        let b = start
        for (let i = 0; i < steps; i++) {
          a = fast.encrypt(a)
          b = twin(b)
        }
        t.equal(toHex(a), toHex(b))
        for (let i = 0; i < steps; i++) a = fast.decrypt(a)
        t.equal(toHex(a), toHex(start), 'and decryption goes all the way back')
      })

      t.test(
        `${spec.name}, block ${blockBits}, key ${bits}: any number of blocks at once agrees with the twin`,
        async t => {
          const blockBytes = blockBits / 8
          const key = seededBytes(bits / 8, 7 * bits)
          const tweak = seededBytes(spec.tweakBytes, 4)
          const fast = blockCipher(spec.name, key, { blockBits, tweak })
          const twin = twins[spec.name]?.(key, { blockBytes, tweak })
          const plain = seededBytes(19 * blockBytes, 9)
          const expected = Buffer.concat(
            Array.from({ length: 19 }, (_, i) => twin?.(plain.slice(i * blockBytes, (i + 1) * blockBytes)) ?? plain),
          )
          for (let count = 0; count <= 19; count++) {
            const sealed = fast.encrypt(plain.subarray(0, count * blockBytes))
            t.equal(toHex(sealed), toHex(expected.subarray(0, count * blockBytes)), `${count} blocks`)
            t.equal(toHex(fast.decrypt(sealed)), toHex(plain.subarray(0, count * blockBytes)))
          }
        },
      )
    }
