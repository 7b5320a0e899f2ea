import t from 'tap'
import type { Snapshot } from '@granary/dedup-store'
import { baseOfDisk, chooseBase } from '../../src/backup/choose-base.ts'
import type { Base, BaseQuestion } from '../../src/backup/choose-base.ts'
import { decodeDisk } from '../../src/engine/resources/disks.ts'
import type { DiskAttachment } from '../../src/engine/resources/disks.ts'

const VM = '11111111-1111-1111-1111-111111111111'
const GIB = 1024 ** 3

const attachment = (id: string, changes: object = {}): DiskAttachment => ({
  id,
  isActive: true,
  isBootable: true,
  interface: 'virtio',
  isReadOnly: false,
  passesDiscard: false,
  json: {},
  disk: decodeDisk({ id, alias: id, provisioned_size: GIB, format: 'cow', backup: 'incremental', ...changes }),
})

/** A snapshot of the machine: number, kind, checkpoint. */
const snapshot = (id: string, backupKind: string, checkpointId: string | undefined, changes: object = {}): Snapshot =>
  ({
    id,
    backupKind,
    labels: {},
    machine: {
      platform: 'ovirt',
      tracking: {
        method: 'api',
        vmId: VM,
        checkpointId,
        disks: [{ id: 'a', name: 'a', sizeBytes: GIB, isTracked: true }],
        ...changes,
      },
    },
  }) as unknown as Snapshot

const checkpoint = (id: string, isValid = true) => ({
  id,
  isValid,
  parentId: undefined,
  hasState: true,
  description: '',
  creationMs: 0,
})

const question = (changes: Partial<BaseQuestion> = {}): BaseQuestion => ({
  kind: 'incremental',
  vmId: VM,
  method: 'api',
  snapshots: [snapshot('1', 'full', 'c1'), snapshot('2', 'incremental', 'c2')],
  checkpoints: [checkpoint('c1'), checkpoint('c2')],
  stale: new Set(),
  disks: [attachment('a')],
  canMix: true,
  ...changes,
})

/** `2/c2`, or `full`, and the warning. */
const choose = (changes: Partial<BaseQuestion> = {}): readonly [string, ...string[]] => {
  const { kind, base, warnings } = chooseBase(question(changes))
  return [base === undefined ? kind : `${kind} ${base.snapshot.id}/${base.checkpointId}`, ...warnings]
}

t.test(
  'an incremental goes on from the newest snapshot whose checkpoint is valid, a differential from the last full',
  async t => {
    t.strictSame(choose(), ['incremental 2/c2'])
    t.strictSame(choose({ kind: 'differential' }), ['differential 1/c1'])
    t.strictSame(choose({ kind: 'full' }), ['full'])
    t.strictSame(choose({ checkpoints: [checkpoint('c1')] }), ['incremental 1/c1'], 'an older one will do')
    t.strictSame(choose({ checkpoints: [checkpoint('c1'), checkpoint('c2', false)] }), ['incremental 1/c1'])
  },
)

t.test('the first backup is a full one, without a warning', async t => {
  t.strictSame(choose({ snapshots: [] }), ['full'])
  t.strictSame(choose({ vmId: 'another' }), ['full'], 'of another machine of that name')
})

t.test('a full one instead, and why', async t => {
  const cases: readonly [string, Partial<BaseQuestion>, RegExp][] = [
    ['the checkpoint is gone', { checkpoints: [] }, /checkpoint c2 is no longer there/],
    ['the checkpoint is invalid', { checkpoints: [checkpoint('c2', false)] }, /checkpoint c2 is no longer valid/],
    ['there was none', { snapshots: [snapshot('1', 'full', undefined)] }, /made no checkpoint/],
    [
      'from the host to the API',
      { snapshots: [snapshot('1', 'full', 'c1', { method: 'host' })] },
      /chain starts again/,
    ],
    ['from the API to the host', { method: 'host' }, /through the host, the last backup .* the backup API/],
    ['a disk became raw', { disks: [attachment('a', { format: 'raw' })] }, /a has become raw: the chain starts again/],
    [
      'its flag was taken',
      { disks: [attachment('a', { backup: 'none' })] },
      /a no longer has incremental backup enabled/,
    ],
    [
      'a new disk, and no mixing',
      { disks: [attachment('a'), attachment('b')], canMix: false },
      /disk b is not in the checkpoint/,
    ],
    [
      'no full one for a differential',
      { kind: 'differential', snapshots: [snapshot('2', 'incremental', 'c2')] },
      /no full backup that a differential one/,
    ],
    [
      'the last full has lost its checkpoint',
      { kind: 'differential', checkpoints: [checkpoint('c2')] },
      /checkpoint c1 is no longer there/,
    ],
  ]
  for (const [name, changes, warning] of cases) {
    const [kind, ...warnings] = choose(changes)
    t.equal(kind, 'full', name)
    t.equal(warnings.length, 1, name)
    t.match(warnings[0], warning, name)
  }
})

t.test('no backup starts from a checkpoint that is stale', async t => {
  t.strictSame(choose({ stale: new Set(['c2']) }), ['incremental 1/c1'])
  for (const stale of [new Set(['c1', 'c2']), 'all'] as const)
    t.match(choose({ stale }), ['full', /restored in place since its last backup/])
})

t.test('a copy marked inconsistent is never a base', async t => {
  const marked = { ...snapshot('3', 'full', 'c3'), labels: { inconsistent: 'the machine was started' } }
  const snapshots = [snapshot('1', 'full', 'c1'), marked]
  t.strictSame(choose({ snapshots, checkpoints: [checkpoint('c1'), checkpoint('c3')] }), ['incremental 1/c1'])
})

t.test('tracking that is damaged or of another program is passed over', async t => {
  const machine = { platform: 'ovirt', tracking: { vmId: VM, disks: 'none' } }
  t.strictSame(choose({ snapshots: [{ ...snapshot('1', 'full', 'c1'), machine }] }), ['full'])
  for (const odd of [null, 1, {}, { platform: 'other' }])
    t.strictSame(choose({ snapshots: [{ ...snapshot('1', 'full', 'c1'), machine: odd }] }), ['full'])
})

t.test('one disk is read in full while the others are not, and why (MODULE rules 3 and 4: only that disk)', async t => {
  const { base } = chooseBase(question())
  const read = (changes: object, mode?: 'full' | 'incremental', id = 'a'): string => {
    const found = baseOfDisk(base as Base, attachment(id, changes), mode)
    return 'warning' in found ? found.warning : `since ${found.name}`
  }
  t.equal(read({}), 'since a')
  t.equal(read({}, 'incremental'), 'since a')
  t.match(read({}, 'full'), /the engine says so/)
  t.match(read({ format: 'raw' }), /raw/)
  t.match(read({ backup: 'none' }), /not enabled/)
  t.match(read({ provisioned_size: 2 * GIB }), /size has changed/)
  t.match(read({}, undefined, 'b'), /new/)
  const gone = snapshot('2', 'incremental', 'c2', { disks: [] })
  const { base: older } = chooseBase(question({ kind: 'differential', snapshots: [snapshot('1', 'full', 'c1'), gone] }))
  t.match(baseOfDisk(older as Base, attachment('a'), undefined), { warning: /detached, or left out/ })
})
