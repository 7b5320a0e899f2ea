import t from 'tap'
import { chooseDisks, nameDisks, requireAll } from '../../src/backup/choose-disks.ts'
import { decodeDisk } from '../../src/engine/resources/disks.ts'
import type { DiskAttachment } from '../../src/engine/resources/disks.ts'

const attachment = (id: string, changes: object = {}, isActive = true): DiskAttachment => ({
  id,
  isActive,
  isBootable: false,
  interface: 'virtio',
  isReadOnly: false,
  passesDiscard: false,
  json: {},
  disk: decodeDisk({ id, alias: `alias ${id}`, ...changes }),
})

t.test('what can be copied, what is read beside the backup, and why the rest is not (§2.2)', async t => {
  const { inBackup, plain, notCopied } = chooseDisks(
    [
      attachment('a'),
      attachment('b', {}, false),
      attachment('lun', { storage_type: 'lun' }),
      attachment('cinder', { storage_type: 'cinder' }),
      attachment('mbs', { storage_type: 'managed_block_storage' }),
      attachment('shared', { shareable: 'true' }),
      attachment('iso', { content_type: 'iso' }),
      attachment('out'),
      attachment('by alias'),
    ],
    ['out', 'alias by alias'],
  )
  t.strictSame(
    inBackup.map(({ id }) => id),
    ['a'],
  )
  t.strictSame(
    plain.map(({ id }) => id),
    ['b'],
  )
  t.strictSame(
    notCopied.map(({ id, reason }) => `${id}: ${reason}`),
    [
      'lun: lun',
      'cinder: cinder',
      'mbs: managed_block_storage',
      'shared: shareable',
      'iso: iso',
      'out: excluded',
      'by alias: excluded',
    ],
  )
  requireAll(
    'web',
    notCopied.filter(({ reason }) => reason === 'excluded'),
  )
  t.throws(() => requireAll('web', notCopied), { code: 'GRANARY_UNSUPPORTED', message: /alias lun \(lun\)/ })
})

t.test("names: the alias where it is one disk's alone and a name at all", async t => {
  const disks = [
    ['11111111-a', 'root'],
    ['22222222-b', 'data'],
    ['33333333-c', 'data'],
    ['44444444-d', 'a/b'],
    ['55555555-e', ' '],
  ].map(([id, alias]) => decodeDisk({ id, alias }))
  t.strictSame([...nameDisks(disks).values()], ['root', 'data-22222222', 'data-33333333', 'a_b', 'disk-55555555'])
})
