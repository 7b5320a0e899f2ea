import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DiskReader } from '@granary/core'
import { whyNoLoopDevices } from '@granary/testing'
import t from 'tap'
import type { Test } from 'tap'
import { openGuest, openVolumes, resolvePath } from '../src/index.ts'
import { findDevice } from '../src/guest/find-device.ts'
import { parseCrypttab, parseFstab } from '../src/guest/fstab.ts'
import type { FileTree, Volume } from '../src/index.ts'
import { fileDisk } from './helpers/file-disk.ts'
import { inOwnNamespace } from './helpers/fresh.ts'
import { makeHive, textValue } from './helpers/hive.ts'
import { imagesSkip, unpack } from './helpers/images.ts'

const MIB = 1024 * 1024
const has = (program: string): boolean => spawnSync('which', [program]).status === 0

const scratch = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-guestfs-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const namesIn = async (tree: FileTree, path: string): Promise<string[]> => {
  const names: string[] = []
  for await (const { name } of tree.list(await resolvePath(tree, path))) names.push(name.text)
  return names.sort()
}

const OS_RELEASE = 'NAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n'

/** A disk with a root file system and nothing else. */
const rootDisk = async (t: Test, fstab: string): Promise<DiskReader> => {
  const folder = scratch(t)
  const top = join(folder, 'top')
  for (const name of ['etc', 'usr/lib', 'usr/bin', 'srv', 'boot', 'home', 'new place', 'var'])
    mkdirSync(join(top, name), { recursive: true })
  writeFileSync(join(top, 'usr/lib/os-release'), OS_RELEASE)
  writeFileSync(join(top, 'usr/bin/true'), 'true')
  writeFileSync(join(top, 'etc/fstab'), fstab)
  writeFileSync(join(top, 'srv/hidden'), 'under the mount')
  for (const [target, name] of [
    ['usr/bin', 'bin'],
    ['../usr/lib/os-release', 'etc/os-release'],
    ['/srv', 'var/data'],
    ['loop', 'loop'],
    ['../../../../etc', 'usr/up'],
  ] as const)
    execFileSync('ln', ['-s', target, join(top, name)])
  const path = join(folder, 'root.raw')
  writeFileSync(path, '')
  truncateSync(path, 16 * MIB)
  execFileSync('mkfs.ext4', ['-q', '-F', '-L', 'root', '-d', top, path])
  const disk = await fileDisk(path)
  t.teardown(async () => await disk[Symbol.asyncDispose]())
  return disk
}

const linuxSkip = imagesSkip || (has('mkfs.ext4') ? false : 'the program mkfs.ext4 is not here')

t.test('a Linux guest is joined as its fstab says', { skip: linuxSkip }, async t => {
  const fstab = [
    '# root first',
    'LABEL=root / ext4 errors=remount-ro 0 1',
    '/dev/mapper/debian--vg-data /srv ext4 defaults 0 2',
    'UUID=be9db736-8b69-48bf-99e1-699a51942d78 /boot ext4 defaults 0 2',
    'PARTUUID=3b5884e7-cb61-8c4f-953c-75d2884ce510\t/boot/grub vfat umask=0077 0 1',
    'LABEL=btrfs-тест /home btrfs subvol=/@home 0 0',
    'LABEL=btrfs-тест /new\\040place btrfs subvolid=256,noatime 0 0',
    'UUID=11111111-0000-0000-0000-000000000000 /var ext4 nofail 0 0',
    '/home /var btrfs bind 0 0',
    'LABEL=boot /nowhere ext4 defaults 0 0',
    '/dev/mapper/debian--vg-swap_1 none swap sw 0 0',
    'tmpfs /tmp tmpfs size=1G 0 0',
    'LABEL=boot /var ext4 noauto 0 0',
  ].join('\n')
  await using server = await unpack(['server-lvm.raw.zst'])
  await using btrfs = await unpack(['btrfs-default.raw.zst'])
  const disks = [await rootDisk(t, fstab), ...server.disks, ...btrfs.disks]
  await using set = await openVolumes(disks)
  await using guest = await openGuest(set)
  t.strictSame(guest.os, { family: 'linux', name: 'Debian GNU/Linux 12 (bookworm)' })
  t.strictSame(guest.mounts, [
    { path: '/', volume: 'd0' },
    { path: '/srv', volume: 'debian-vg/data' },
    { path: '/boot', volume: 'd1p2' },
    { path: '/home', volume: 'd2', subvolume: 257 },
    { path: '/new place', volume: 'd2', subvolume: 256 },
    { path: '/boot/grub', volume: 'd1p1' },
  ])
  const { tree } = guest
  t.ok((await namesIn(tree, '/srv')).includes('many'), 'a logical volume hides what is below')
  t.strictSame(await namesIn(tree, '/var/data'), await namesIn(tree, '/srv'), 'links lead across mounts')
  t.ok((await namesIn(tree, '/boot')).includes('vmlinuz'))
  t.strictSame(await namesIn(tree, '/boot/grub'), ['EFI'], 'a mount in a mount')
  t.strictSame(await namesIn(tree, '/bin'), ['true'])
  t.strictSame(await namesIn(tree, '/usr/up'), await namesIn(tree, '/etc'), 'no link leads out of the root')
  await t.rejects(resolvePath(tree, '/loop'), { code: 'GRANARY_CORRUPT' })
  await t.rejects(resolvePath(tree, '/bin/nothing'), { code: 'GRANARY_NOT_FOUND' })
  t.equal((await tree.stat(await tree.lookup('/boot/vmlinuz'))).volume, 'd1p2')
  await compareWalk(t, tree, set.volumes)
  const warnings = tree.warnings.map(({ where, message }) => `${where}: ${message}`).join('\n')
  t.match(warnings, /fstab, \/var: UUID=1111.* is not among these volumes/)
  t.match(warnings, /fstab, \/var: a bind mount is not shown/)
  t.match(warnings, /fstab, \/nowhere: GRANARY_NOT_FOUND/)
  t.match(warnings, /Linux on debian-vg\/root is not joined/)
})

/** A walk of the guest meets each file of a mounted volume once. */
const compareWalk = async (t: Test, tree: FileTree, volumes: readonly Volume[]): Promise<void> => {
  const met = new Map<string, number>()
  for await (const item of tree.walk()) {
    if (item.kind === 'error') throw item.error
    const { volume = '' } = item.node
    met.set(volume, (met.get(volume) ?? 0) + 1)
  }
  for (const id of ['debian-vg/data', 'd1p2', 'd1p1']) {
    await using alone = await (volumes.find(volume => volume.id === id) as Volume).open()
    let count = 0
    for await (const { path } of alone.walk()) if (id !== 'd1p2' || !path.text.startsWith('/grub/')) count++
    // The directory that is mounted over is not shown.
    t.equal(met.get(id), id === 'd1p2' ? count - 1 : count, `${id}: ${count} files`)
  }
}

t.test('no system, no guest', { skip: imagesSkip }, async t => {
  await using image = await unpack(['swap-whole.raw.zst'])
  await using set = await openVolumes(image.disks)
  await t.rejects(openGuest(set), { code: 'GRANARY_NOT_FOUND' })
})

t.test('fstab: escapes, order, what is left out', async t => {
  const rows = parseFstab(
    '/dev/sda3 /a/b ext4\n  /dev/sdb1\t/a\\040x xfs ro,noatime 0 0\n#/dev/x /c ext4\nnonsense\nserver:/x /nfs nfs4 rw 0 0\n',
  )
  t.strictSame(rows, [
    { device: '/dev/sdb1', point: '/a x', type: 'xfs', options: ['ro', 'noatime'] },
    { device: '/dev/sda3', point: '/a/b', type: 'ext4', options: [''] },
  ])
})

t.test('devices are found by all their names', async t => {
  const volume = (
    id: string,
    kind: Volume['kind'],
    source: Partial<Volume['source']>,
    more: Partial<Volume> = {},
  ): Volume => ({ id, kind, source: { disks: [0], ...source }, ...more }) as Volume
  const volumes = [
    volume(
      'd0p1',
      'partition',
      { partition: 1, partitionUuid: '1a2b3c4d-01', partitionName: 'boot' },
      { uuid: 'ABCD-1234' },
    ),
    volume('d1p2', 'partition', { disks: [1], partition: 2 }, { label: 'my data' }),
    volume('my-vg/a-b', 'lv', { partition: 2, lv: 'my-vg/a-b' }),
    volume('d2', 'whole', { disks: [2] }),
    volume('locked', 'partition', { partition: 9 }, { uuid: '5afe', whyNot: { reason: 'member', message: '' } }),
    volume('safe', 'unlocked', { container: 'locked' }),
    volume('gone', 'lv', { lv: 'vg/gone' }, { whyNot: { reason: 'missing', message: '' } }),
  ]
  const crypttab = parseCrypttab('# name device\ncryptdata UUID=5afe none luks\n\n')
  const cases: Readonly<Record<string, readonly string[]>> = {
    'UUID=abcd-1234': ['d0p1'],
    'UUID="ABCD-1234"': ['d0p1'],
    'PARTUUID=1A2B3C4D-01': ['d0p1'],
    'PARTLABEL=boot': ['d0p1'],
    'LABEL=my data': ['d1p2'],
    '/dev/disk/by-uuid/ABCD-1234': ['d0p1'],
    '/dev/sda1': ['d0p1'],
    '/dev/vdb2': ['d1p2'],
    '/dev/nvme0n1p1': ['d0p1'],
    '/dev/xvdc': ['d2'],
    '/dev/mapper/my--vg-a--b': ['my-vg/a-b'],
    '/dev/my-vg/a-b': ['my-vg/a-b'],
    '/dev/vg/gone': [],
    '/dev/mapper/cryptdata': ['safe'],
    '/dev/sda': [],
    'UUID=': [],
  }
  for (const [device, ids] of Object.entries(cases))
    t.strictSame(
      findDevice(volumes, device, crypttab).map(({ id }) => id),
      ids,
      device,
    )
})

const windowsSkip = ((): string | false => {
  for (const program of ['mkntfs', 'ntfs-3g', 'umount']) if (!has(program)) return `the program ${program} is not here`
  return whyNoLoopDevices() || (existsSync('/dev/fuse') ? false : 'no FUSE here')
})()

const SIGNATURE = 0xc0ffee11

/** A disk with two NTFS partitions; the first holds Windows. */
const windowsDisk = async (t: Test, fill: (system: string) => void): Promise<DiskReader> => {
  const folder = scratch(t)
  const path = join(folder, 'windows.raw')
  const sizes = [12 * MIB, 8 * MIB]
  const table = Buffer.alloc(MIB)
  table.writeUInt32LE(SIGNATURE, 440)
  table.writeUInt16LE(0xaa55, 510)
  const file = await open(path, 'w')
  let at = MIB
  for (const [index, size] of sizes.entries()) {
    const part = join(folder, `part${index}`)
    writeFileSync(part, '')
    truncateSync(part, size)
    execFileSync('mkntfs', ['-q', '-F', '-p', String(at / 512), '-L', index === 0 ? 'System' : 'Data', part], {
      stdio: 'ignore',
    })
    const [files, top] = [join(folder, `files${index}`), join(folder, 'top')]
    for (const made of [files, top]) mkdirSync(made, { recursive: true })
    if (index === 0) fill(files)
    else writeFileSync(join(files, 'data.txt'), 'on D')
    // On a device: of a file, `umount` comes back before the driver has written everything.
    const steps = ['mount -t ntfs-3g -o loop "$PART" "$TOP"', 'cp -r "$FILES/." "$TOP"', 'umount "$TOP"']
    inOwnNamespace(steps, { PART: part, TOP: top, FILES: files }, [])
    await file.write(execFileSync('cat', [part], { maxBuffer: 64 * MIB }), 0, size, at)
    const entry = 446 + index * 16
    table.writeUInt8(7, entry + 4)
    table.writeUInt32LE(at / 512, entry + 8)
    table.writeUInt32LE(size / 512, entry + 12)
    at += size
  }
  await file.write(table, 0, 512, 0)
  await file.close()
  const disk = await fileDisk(path)
  t.teardown(async () => await disk[Symbol.asyncDispose]())
  return disk
}

const device = (offset: number): { type: number; data: Uint8Array } => {
  const data = Buffer.alloc(12)
  data.writeUInt32LE(SIGNATURE)
  data.writeBigUInt64LE(BigInt(offset), 4)
  return { type: 3, data }
}

t.test('a Windows guest is joined by its drive letters', { skip: windowsSkip }, async t => {
  const disk = await windowsDisk(t, system => {
    const config = join(system, 'Windows/System32/config')
    mkdirSync(config, { recursive: true })
    mkdirSync(join(system, 'Users/anna'), { recursive: true })
    writeFileSync(join(system, 'Users/anna/notes.txt'), 'hello')
    const mounted = {
      '\\DosDevices\\C:': device(MIB),
      '\\DosDevices\\E:': device(13 * MIB),
      '\\DosDevices\\F:': device(99 * MIB),
      '\\DosDevices\\G:': { type: 3, data: Buffer.from('\\??\\CdRom0', 'utf16le') },
      '\\??\\Volume{1}': device(13 * MIB),
    }
    writeFileSync(join(config, 'SYSTEM'), makeHive({ keys: { MountedDevices: { values: mounted } } }))
    const version = { ProductName: textValue('Windows 10 Pro'), CurrentBuildNumber: textValue('22631') }
    const software = { Microsoft: { keys: { 'Windows NT': { keys: { CurrentVersion: { values: version } } } } } }
    writeFileSync(join(config, 'SOFTWARE'), makeHive({ keys: software }))
  })
  await using set = await openVolumes([disk])
  await using guest = await openGuest(set)
  t.strictSame(guest.os, { family: 'windows', name: 'Windows 11 Pro' })
  t.strictSame(guest.mounts, [
    { path: '/C:', volume: 'p1' },
    { path: '/E:', volume: 'p2' },
  ])
  t.strictSame(await namesIn(guest.tree, '/'), ['C:', 'E:'])
  t.strictSame(await namesIn(guest.tree, '/e:'), await namesIn(guest.tree, '/E:'))
  const file = await guest.tree.open(await resolvePath(guest.tree, '/c:/users/ANNA/notes.txt'))
  const bytes = new Uint8Array(file.sizeBytes)
  await file.read(0, bytes)
  t.equal(Buffer.from(bytes).toString(), 'hello')
  t.ok((await namesIn(guest.tree, '/E:')).includes('data.txt'))
  const walked: string[] = []
  for await (const { path } of guest.tree.walk()) walked.push(path.text)
  t.ok(walked.includes('/C:/Users/anna/notes.txt') && walked.includes('/E:/data.txt'))
  await t.rejects(guest.tree.open(guest.tree.root), { code: 'GRANARY_INVALID_ARGUMENT' })
})
