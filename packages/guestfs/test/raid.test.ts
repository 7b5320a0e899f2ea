import { memoryDisk } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { diskReaderContract, seededBytes } from '@granary/testing'
import t from 'tap'
import { parityDisk, raid0Disk, raid0ZonesDisk, raid10Disk, raid1Disk } from '../src/containers/raid/raid-disk.ts'
import type { RaidSet } from '../src/containers/raid/raid-disk.ts'

const CHUNK_BYTES = 4096
const START = 512

/** Rows of an array as md(4) draws them: numbers of chunks, P for parity, - for nothing. */
type Drawing = readonly string[]

const PARITY: Readonly<Record<number, Drawing>> = {
  0: ['0 1 2 P', '3 4 P 5', '6 P 7 8', 'P 9 10 11'],
  1: ['P 0 1 2', '3 P 4 5', '6 7 P 8', '9 10 11 P'],
  2: ['0 1 2 P', '4 5 P 3', '8 P 6 7', 'P 9 10 11'],
  3: ['P 0 1 2', '5 P 3 4', '7 8 P 6', '9 10 11 P'],
  4: ['P 0 1 2', 'P 3 4 5', 'P 6 7 8', 'P 9 10 11'],
  5: ['0 1 2 P', '3 4 5 P', '6 7 8 P', '9 10 11 P'],
}

const content = seededBytes(12 * CHUNK_BYTES, 1)
const chunkOf = (index: number): Uint8Array => content.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)

/** Members that hold what is drawn, each behind something else. */
const drawn = (rows: Drawing): Uint8Array[] => {
  const cells = rows.map(row => row.split(' '))
  const members = Array.from({ length: (cells[0] as string[]).length }, () =>
    new Uint8Array(START + rows.length * CHUNK_BYTES).fill(0xee),
  )
  for (const [row, line] of cells.entries()) {
    const parity = new Uint8Array(CHUNK_BYTES)
    for (const cell of line)
      if (/\d/.test(cell))
        for (const [i, byte] of chunkOf(Number(cell)).entries()) parity[i] = (parity[i] as number) ^ byte
    for (const [member, cell] of line.entries()) {
      const bytes = cell === 'P' ? parity : cell === '-' ? new Uint8Array(CHUNK_BYTES) : chunkOf(Number(cell))
      members[member]?.set(bytes, START + row * CHUNK_BYTES)
    }
  }
  return members
}

const setOf = (rows: Drawing, missing?: number): RaidSet => ({
  members: drawn(rows).map((bytes, index) =>
    index === missing ? undefined : { disk: memoryDisk(bytes), offset: START },
  ),
  chunkBytes: CHUNK_BYTES,
  memberBytes: rows.length * CHUNK_BYTES,
  where: 'test array',
  missing: index => new Error(`member ${index} is missing`),
})

const whole = async (disk: DiskReader): Promise<Uint8Array> => {
  const bytes = new Uint8Array(disk.sizeBytes)
  await disk.read(0, bytes)
  return bytes
}

for (const [layout, rows] of Object.entries(PARITY)) {
  t.test(`raid5 of layout ${layout} reads whole, and with any member missing`, async t => {
    for (const missing of [undefined, 0, 1, 2, 3]) {
      const found = await whole(parityDisk(setOf(rows, missing), 5, Number(layout)))
      t.equal(Buffer.compare(found, content), 0, `missing: ${missing}`)
    }
  })
}

t.test('raid5 with two members missing fails where it needs them', async t => {
  const set = setOf(PARITY[2] as Drawing, 0)
  const disk = parityDisk({ ...set, members: set.members.with(1, undefined) }, 5, 2)
  await t.rejects(disk.read(0, new Uint8Array(1)), { message: 'member 0 is missing' })
  await t.resolves(disk.read(2 * CHUNK_BYTES, new Uint8Array(1)), 'the third chunk is on a member that is here')
})

const RAID10: readonly (readonly [
  name: string,
  layout: Parameters<typeof raid10Disk>[1],
  rows: Drawing,
  chunks: number,
])[] = [
  ['near 2 of 4', { nearCopies: 2, farCopies: 1, isOffset: false }, ['0 0 1 1', '2 2 3 3'], 4],
  ['near 2 of 3', { nearCopies: 2, farCopies: 1, isOffset: false }, ['0 0 1', '1 2 2'], 3],
  ['far 2 of 4', { nearCopies: 1, farCopies: 2, isOffset: false }, ['0 1 2 3', '4 5 6 7', '3 0 1 2', '7 4 5 6'], 8],
  ['offset 2 of 4', { nearCopies: 1, farCopies: 2, isOffset: true }, ['0 1 2 3', '3 0 1 2', '4 5 6 7', '7 4 5 6'], 8],
]
for (const [name, layout, rows, chunks] of RAID10) {
  t.test(`raid10, ${name}, reads whole, and with any member missing`, async t => {
    for (const missing of [undefined, 0, 1, 2]) {
      const found = await whole(raid10Disk(setOf(rows, missing), layout))
      t.equal(Buffer.compare(found, content.subarray(0, chunks * CHUNK_BYTES)), 0, `missing: ${missing}`)
    }
  })
}

t.test('raid0 over members of different lengths goes on with the longer ones', async t => {
  const rows = ['0 1 2', '3 4 -', '5 6 -']
  const lengths = [3, 3, 1].map(chunks => chunks * CHUNK_BYTES + 100)
  t.equal(
    Buffer.compare(await whole(raid0ZonesDisk(setOf(rows), lengths, 2)), content.subarray(0, 7 * CHUNK_BYTES)),
    0,
    'each zone begins anew',
  )
  const original = ['0 1 2', '4 3 -', '6 5 -']
  t.equal(
    Buffer.compare(await whole(raid0ZonesDisk(setOf(original), lengths, 1)), content.subarray(0, 7 * CHUNK_BYTES)),
    0,
    'the turn goes on',
  )
})

t.test('raid1 reads the first member that is here', async t => {
  t.equal(Buffer.compare(await whole(raid1Disk(setOf(['0 0', '1 1'], 0))), content.subarray(0, 2 * CHUNK_BYTES)), 0)
})

diskReaderContract(
  'raid0',
  async () => ({ disk: raid0Disk(setOf(['0 1 2', '3 4 5'])), content: content.subarray(0, 6 * CHUNK_BYTES) }),
  { reads: 50 },
)
diskReaderContract(
  'raid5 with a member missing',
  async () => ({ disk: parityDisk(setOf(PARITY[2] as Drawing, 2), 5, 2), content }),
  { reads: 50 },
)
