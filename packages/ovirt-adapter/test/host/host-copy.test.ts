/** Copies of a real running guest under a real libvirt. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { copyDisk, createRawDisk } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { systemClock } from '@granary/dedup-store'
import t from 'tap'
import { betweenScripts, guestAgent, noJournal, openOverlayCopy, openPullCopy } from '../../src/index.ts'
import type { HostCopyOptions, ScriptReport } from '../../src/index.ts'
import { guestTroubles } from './guest-troubles.ts'
import { DISK, DOMAIN, createGuest, run, whyNoGuest } from './private-libvirt.ts'

t.setTimeout(600_000)

t.test('a running guest is copied on its host', { skip: whyNoGuest() }, async t => {
  const guest = await createGuest(t, { smallMiB: 68 })
  const { libvirt, folder, image } = guest
  await guest.start({ isFresh: true })
  const scratch = join(folder, 'scratch')
  mkdirSync(scratch)
  const options: HostCopyOptions = {
    libvirt,
    domain: DOMAIN,
    scratch: { folder: scratch, reserveBytes: 0 },
    journal: noJournal,
    clock: systemClock,
  }
  const isClean = async (): Promise<void> => {
    t.strictSame(await libvirt.job(DOMAIN), { kind: 'none' }, 'no job is left')
    t.strictSame(readdirSync(scratch), [], 'no scratch file is left')
    t.equal((await libvirt.domain(DOMAIN)).disks[0]?.path, image, 'the guest writes to its own disk')
    t.equal(await guestAgent(libvirt, DOMAIN, systemClock).isFrozen(), false, 'the guest is not frozen')
  }

  await t.test('by a pull-mode backup, while it writes', async t => {
    const sum = await guest.shell(
      'dd if=/dev/urandom of=/root/blob bs=64k count=64 2>/dev/null; sync; md5sum < /root/blob',
    )
    const copy = await openPullCopy({ ...options, requireConsistency: true })
    t.equal(copy.frozen, 'yes')
    t.equal(copy.disks[0]?.diskId, DISK)
    await guest.shell('dd if=/dev/zero of=/root/blob bs=64k count=64 2>/dev/null; sync')
    const file = join(folder, 'pull.raw')
    await copyTo(file, copy.disks[0]?.disk as DiskReader)
    await copy.verify()
    const socket = join(scratch, readdirSync(scratch)[0] as string, 'nbd.sock')
    await run('nbdcopy', [`nbd+unix:///vda?socket=${socket}`, join(folder, 'peer.raw')])
    await copy[Symbol.asyncDispose]()
    await run('cmp', [file, join(folder, 'peer.raw')])
    await run('e2fsck', ['-fn', file]).catch((error: { code: number }) =>
      t.ok(error.code < 4, 'only its journal was open'),
    )
    const blob = await run('debugfs', ['-R', 'cat /root/blob', file], { encoding: 'buffer', maxBuffer: 1 << 26 })
    t.equal(md5(blob.stdout), sum.slice(0, 32), 'it is the moment before')
    await isClean()
  })

  await t.test('by overlays, on request', async t => {
    const sum = await guest.shell(
      'dd if=/dev/urandom of=/root/blob bs=64k count=64 2>/dev/null; sync; md5sum < /root/blob',
    )
    const copy = await openOverlayCopy({ ...options, requireConsistency: true })
    t.equal(copy.frozen, 'yes')
    const file = join(folder, 'overlay.raw')
    const later = await guest.shell(
      'dd if=/dev/urandom of=/root/later bs=64k count=32 2>/dev/null; sync; md5sum < /root/later',
    )
    await copyTo(file, copy.disks[0]?.disk as DiskReader)
    await run('qemu-img', ['convert', '-U', '-f', 'qcow2', '-O', 'raw', image, join(folder, 'peer.raw')])
    await copy.verify()
    await copy[Symbol.asyncDispose]()
    await run('cmp', [file, join(folder, 'peer.raw')])
    const blob = await run('debugfs', ['-R', 'cat /root/blob', file], { encoding: 'buffer', maxBuffer: 1 << 26 })
    t.equal(md5(blob.stdout), sum.slice(0, 32))
    t.equal(await guest.shell('md5sum < /root/later'), later, 'what it wrote meanwhile is in its disk')
    await isClean()
  })

  await t.test('never beside another job', async t => {
    await using first = await openPullCopy(options)
    t.equal(first.disks.length, 1)
    await t.rejects(openPullCopy(options), { code: 'GRANARY_LOCKED', retryable: true })
    await t.rejects(openOverlayCopy(options), { code: 'GRANARY_LOCKED' })
  })

  await t.test('never with more scratch space than allowed', async t => {
    await guest.shell('dd if=/dev/urandom of=/root/blob bs=64k count=200 2>/dev/null; sync')
    const little = { folder: scratch, reserveBytes: 0, limitBytes: 4 * 1024 * 1024, watchMs: 50 }
    const copy = await openPullCopy({ ...options, scratch: little })
    await guest.shell('dd if=/dev/urandom of=/root/blob bs=64k count=200 conv=notrunc 2>/dev/null; sync')
    if (!copy.signal.aborted) await new Promise(resolve => copy.signal.addEventListener('abort', resolve))
    await t.rejects(copy.verify(), { code: 'GRANARY_NO_SPACE' })
    await copy[Symbol.asyncDispose]()
    t.ok(await guest.shell('sync; echo alive'), 'the guest goes on')
    await isClean()
    const none = { folder: scratch, reserveBytes: 2 ** 52 }
    await t.rejects(openPullCopy({ ...options, scratch: none }), { code: 'GRANARY_NO_SPACE' })
    await isClean()
  })

  await t.test('between scripts of its own', async t => {
    await guest.shell(
      'mkdir -p /root/s; printf "#!/bin/sh\\necho one >> /root/s/log; echo out" > /root/s/a; printf "#!/bin/sh\\necho two >> /root/s/log; exit 3" > /root/s/b; printf "#!/bin/sh\\nsleep 60" > /root/s/c; chmod +x /root/s/a /root/s/b /root/s/c',
    )
    const reports: ScriptReport[] = []
    const between = {
      libvirt,
      domain: DOMAIN,
      journal: noJournal,
      clock: systemClock,
      onScript: (report: ScriptReport) => void reports.push(report),
    }
    const run = async (before: string, after: string, timeoutMs = 60_000): Promise<unknown> =>
      await betweenScripts({ ...between, scripts: { before, after, timeoutMs } }, async () => 'done')
    t.equal(await run('/root/s/a', '/root/s/b'), 'done')
    t.match(reports, [
      { script: 'before', exitCode: 0, output: 'out\n' },
      { script: 'after', exitCode: 3 },
    ])
    t.equal(await guest.shell('cat /root/s/log'), 'one\ntwo\n')
    await t.rejects(run('/root/s/b', '/root/s/a'), { code: 'GRANARY_REMOTE', detail: { exitCode: 3 } })
    t.equal(await guest.shell('cat /root/s/log'), 'one\ntwo\ntwo\none\n', 'the second ran all the same')
    await t.rejects(run('/root/s/none', '/root/s/a'), { code: 'GRANARY_NOT_FOUND' })
    // The second one has to be done in that time, too, in a guest that is emulated on a machine that does much else.
    await t.rejects(run('/root/s/c', '/root/s/a', 8000), { code: 'GRANARY_TIMEOUT' })
    t.equal(reports.at(-1)?.exitCode, 0)
  })

  await t.test('in trouble', async t => await guestTroubles(t, guest, scratch))

  await t.test('and one whose agent does not answer is not frozen', async t => {
    await guest
      .shell('(sleep 0.3; mv /usr/sbin/qemu-ga /usr/sbin/qga; kill -9 $(pidof qemu-ga)) > /dev/null 2>&1 &')
      .catch(() => undefined)
    const agent = guestAgent(libvirt, DOMAIN, systemClock)
    while (await agent.answers()) await systemClock.sleep(200)
    await t.rejects(openPullCopy({ ...options, requireConsistency: true }), { code: 'GRANARY_REMOTE' })
    t.strictSame(await libvirt.job(DOMAIN), { kind: 'none' })
    const copy = await openPullCopy(options)
    t.equal(copy.frozen, 'no')
    await copy[Symbol.asyncDispose]()
    t.notOk(readdirSync(scratch).length)
    const between = { libvirt, domain: DOMAIN, journal: noJournal, clock: systemClock }
    const scripts = { before: '/root/s/a', after: '/root/s/a', timeoutMs: 1000 }
    let ran = false
    await t.rejects(
      betweenScripts({ ...between, scripts }, async () => (ran = true)),
      { code: 'GRANARY_IO', hint: /qemu-guest-agent/ },
    )
    t.notOk(ran, 'no copy without the script before it')
  })

  await t.test('no overlay is put over a thin volume on block storage', { skip: whyNoDevice() }, async t => {
    const file = join(folder, 'thin.img')
    await run('truncate', ['-s', '16M', file])
    const device = (await run('losetup', ['--find', '--show', file])).stdout.trim()
    t.teardown(async () => await run('losetup', ['--detach', device])) // It goes when QEMU has closed it.
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', device, '64M'])
    await libvirt.run(['attach-disk', DOMAIN, device, 'vdb', '--driver', 'qemu', '--subdriver', 'qcow2', '--live'])
    await t.rejects(openOverlayCopy(options), {
      code: 'GRANARY_UNSUPPORTED',
      detail: { target: 'vdb' },
      hint: /backup/,
    })
    t.strictSame(readdirSync(scratch), [])
    await using copy = await openPullCopy(options)
    t.equal(copy.disks.length, 2, 'a backup job reads it')
  })
  t.ok(existsSync(image))
})

const whyNoDevice = (): string | false =>
  spawnSync('losetup', ['--find']).status === 0 ? false : 'needs a loop device'

const copyTo = async (path: string, disk: DiskReader): Promise<void> => {
  await using target = await createRawDisk(path, disk.sizeBytes)
  await copyDisk(disk, target)
}

const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex')
