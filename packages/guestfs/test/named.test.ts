import { memoryDisk } from '@granary/core'
import { seededBytes } from '@granary/testing'
import t from 'tap'
import { openVolumes } from '../src/index.ts'

const MIB = 1024 * 1024
type Mark = readonly [offset: number, bytes: string | Uint8Array]

/** A disk of zeros with marks; a negative offset counts from the end. */
const disk = (...marks: readonly Mark[]): Uint8Array => {
  const bytes = new Uint8Array(4 * MIB)
  for (const [offset, mark] of marks)
    bytes.set(
      typeof mark === 'string' ? Buffer.from(mark, 'latin1') : mark,
      offset < 0 ? bytes.length + offset : offset,
    )
  return bytes
}

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))
const BOOT: Mark = [510, hex('55aa')]

/** One partition in an MBR. */
const partition = (type: number): readonly Mark[] => [
  [446, Uint8Array.of(0, 0, 0, 0, type, 0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0)],
  BOOT,
]

interface Wanted {
  readonly content: string | undefined
  readonly reason: string
  readonly message: RegExp
}

const cases: readonly (readonly [string, Uint8Array, Wanted])[] = [
  [
    'BitLocker',
    disk([0, hex('eb5890')], [3, '-FVE-FS-'], BOOT),
    { content: 'BitLocker', reason: 'encrypted', message: /BitLocker/ },
  ],
  [
    'BitLocker To Go',
    disk([0, hex('eb5890')], [3, 'MSWIN4.1'], [424, hex('3bd67649292ed84a8399f6a339e3d001')], BOOT),
    { content: 'BitLocker', reason: 'encrypted', message: /To Go/ },
  ],
  ['ReFS', disk([3, 'ReFS\0\0\0\0']), { content: 'ReFS', reason: 'unsupported', message: /ReFS/ }],
  ['ZFS', disk([131_072, hex('0cb1ba0000000000')]), { content: 'zfs_member', reason: 'unsupported', message: /ZFS/ }],
  [
    'ZFS of another byte order',
    disk([131_072 + 3 * 1024, hex('0000000000bab10c')]),
    { content: 'zfs_member', reason: 'unsupported', message: /ZFS/ },
  ],
  ['VDO', disk([0, 'dmvdo001']), { content: 'vdo', reason: 'unsupported', message: /VDO/ }],
  [
    'LDM, by its header',
    disk([3072, 'PRIVHEAD']),
    { content: 'LDM_member', reason: 'unsupported', message: /dynamic disk/ },
  ],
  [
    'LDM, by its type',
    disk(...partition(0x42)),
    { content: undefined, reason: 'unsupported', message: /dynamic disk/ },
  ],
  [
    'bcache',
    disk([4120, hex('c68573f64e1a45ca8265f57f48ba6d81')]),
    { content: 'bcache', reason: 'unsupported', message: /bcache/ },
  ],
  ['F2FS', disk([1024, hex('1020f5f2')]), { content: 'f2fs', reason: 'unsupported', message: /F2FS/ }],
  [
    'random bytes, as VeraCrypt leaves them',
    seededBytes(4 * MIB, 9),
    { content: undefined, reason: 'encrypted', message: /random/ },
  ],
  ['nothing', disk(), { content: undefined, reason: 'empty', message: /nothing/ }],
]

t.test('what is not read is named, with the reason and its size', async t => {
  for (const [name, bytes, { content, reason, message }] of cases) {
    await using set = await openVolumes([memoryDisk(bytes)])
    t.equal(set.volumes.length, 1, name)
    const [volume] = set.volumes
    t.match(volume, { content, whyNot: { reason, message } }, name)
    t.ok((volume?.sizeBytes ?? 0) > 0)
    await t.rejects((volume as NonNullable<typeof volume>).open(), { code: 'GRANARY_UNSUPPORTED' })
  }
})

t.test('Storage Spaces are named by the type of their partition', async t => {
  const { partitionTypeWhyNot } = await import('../src/tables/partition-types.ts')
  t.match(partitionTypeWhyNot('e75caf8f-f680-4cee-afa3-b001e56efc2d'), {
    reason: 'unsupported',
    message: /Storage Spaces/,
  })
  t.equal(partitionTypeWhyNot('0fc63daf-8483-4772-8e79-3d69d8477de4'), undefined)
})

t.test('a key for what no key opens is refused by name', async t => {
  const [bitLocker] = cases
  const unlock = [{ volume: 'disk', key: Uint8Array.of(1) }]
  await t.rejects(openVolumes([memoryDisk(bitLocker?.[1] as Uint8Array)], { unlock }), {
    code: 'GRANARY_UNSUPPORTED',
    message: /BitLocker/,
  })
})
