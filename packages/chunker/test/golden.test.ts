import { createCipheriv, createHash } from 'node:crypto'
import t from 'tap'
import type { Bytes } from '@granary/core'
import { DATA, createChunker, parseChunker } from '../src/index.ts'
import { nhDigest, secretFor } from './twins.ts'

// docs/formats/chunking.md, section "Test values". If one of these must change, so must the name of the strategy:
// repositories that exist are cut this way.
const SECRET = Uint8Array.from({ length: 32 }, (_, at) => at)
const MiB = 1024 * 1024

const content = (): Bytes => {
  const stream = createCipheriv('aes-256-ctr', Buffer.alloc(32, 1), Buffer.alloc(16)).update(Buffer.alloc(3 * MiB))
  const bytes = new Uint8Array(stream.subarray(0, 3 * MiB - 1000))
  bytes.fill(0, MiB, MiB + 40_960)
  bytes.fill(0, 2 * MiB, 2 * MiB + 20_480)
  return bytes
}

const CUTS = {
  'grid:128k':
    '233472 208896 212992 151552 147456 94208 zero:40960 143360 155648 135168 155648 122880 143360 200704 159744 81920 ' +
    '151552 65536 147456 139264 151552 101400',
  'fixed:1m': '1048576 1048576 1047576',
  'fastcdc:64k':
    '71044 20006 104732 68086 77172 82987 98354 77860 54459 83192 95008 29711 67755 69323 48887 zero:40960 70226 67351 ' +
    '71730 87486 126882 67537 49510 75217 30137 74307 89694 105575 89040 69871 56050 67560 63551 90146 79428 68191 69805 ' +
    '73565 67949 81103 28210 66128 66175 99285 3483',
} as const

t.test('the published test values hold', async t => {
  const bytes = content()
  t.equal(
    createHash('sha256').update(bytes).digest('hex'),
    'b39a5e93c652317d8896662e5c0d93f2f22fcbd3d0a7cab0f117b6f48123b91d',
  )

  const nhKey = secretFor(SECRET, 'grid nh', 4112)
  t.equal(nhKey.toString('hex', 0, 16), 'f463274d8402f922db9bebbfb89ee260')
  t.equal(nhKey.toString('hex', 4096), 'd2ad9693ee3e4a8a5751fa5d1c61335e')
  const aesKey = secretFor(SECRET, 'grid aes', 32)
  t.equal(aesKey.toString('hex'), 'f8d4b0eedb7737a30bc1fed45923de90d93f9f096c1ed423f32ad0306028b2a5')
  const gear = secretFor(SECRET, 'fastcdc gear', 2048)
  t.equal(gear.readBigUInt64LE(0), 0x18c4b2d2fabe933en)
  t.equal(gear.readBigUInt64LE(8 * 255), 0xe2625f106f2869e1n)

  const digest = nhDigest(bytes.subarray(0, 4096), nhKey)
  t.equal(digest.toString('hex'), '4809bd9850420cbc9889f07b0335a299')
  const sealed = createCipheriv('aes-256-ecb', aesKey, null).setAutoPadding(false).update(digest)
  t.equal(sealed.toString('hex'), '21f20d09c2a94990083ca4ed22737f28')

  for (const [name, cuts] of Object.entries(CUTS)) {
    const { count, lengths, kinds } = createChunker(parseChunker(name), SECRET).cutBytes(bytes)
    const found = Array.from({ length: count }, (_, at) => `${kinds[at] === DATA ? '' : 'zero:'}${lengths[at]}`)
    t.equal(found.join(' '), cuts, name)
  }
})
