/** `kill -9` of QEMU and of us at every step of a copy: no write of the guest is lost, and nothing is left. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '@granary/dedup-store'
import t from 'tap'
import { guestAgent, openOverlayCopy, openPullCopy, undoHostIntent } from '../../src/host/index.ts'
import type { HostCopy, HostStep } from '../../src/host/index.ts'
import type { CopyProcessOptions } from './copy-process.ts'
import { fileJournal, unsettled } from './file-journal.ts'
import { DOMAIN, createGuest, run, whyNoGuest } from './private-libvirt.ts'

t.setTimeout(600_000)

const STEPS: readonly HostStep[] = ['intend', 'begin', 'open', 'reading', 'end', 'settle']
/** Within the freeze and its thaw: the child that does them must come to its end alone. */
const MOMENTS_MS =
  process.env['GRANARY_TEST_LONG'] === undefined ? [30, 120] : Array.from({ length: 40 }, (_, i) => 5 * i)
const COPY_PROCESS = fileURLToPath(new URL('copy-process.js', import.meta.url))

t.test('after a crash of ours or of QEMU', { skip: whyNoGuest() }, async t => {
  const guest = await createGuest(t)
  const { libvirt, folder, image } = guest
  await guest.start({ isFresh: true })
  await guest.shell('printf "#!/bin/sh\\necho after >> /root/afters" > /root/after.sh; chmod +x /root/after.sh; sync')
  const scratch = join(folder, 'scratch')
  mkdirSync(scratch)
  let runs = 0

  const undoAll = async (journal: string): Promise<void> => {
    for (const intent of unsettled(journal)) await undoHostIntent(libvirt, intent, { clock: systemClock })
  }
  const crash = async (method: 'pull' | 'overlay', stopAt: HostStep, afterMs: number): Promise<void> => {
    const what = `${method}, ${afterMs} ms after "${stopAt}"`
    const journal = join(folder, `journal-${++runs}`)
    const options: CopyProcessOptions = { uri: libvirt.uri, domain: DOMAIN, method, scratch, journal, stopAt, afterMs }
    const before = await guest.ticks()
    const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, COPY_PROCESS, JSON.stringify(options)])
    let words = ''
    child.stderr.on('data', (piece: Buffer) => (words += piece.toString()))
    const signal = await new Promise(resolve => child.once('close', (_code, name) => resolve(name)))
    t.equal(signal, 'SIGKILL', `${what}: it was killed ${words}`)
    await undoAll(journal)
    t.strictSame(await libvirt.job(DOMAIN), { kind: 'none' }, `${what}: no job is left`)
    t.strictSame(readdirSync(scratch), [], `${what}: no scratch file is left`)
    t.equal((await libvirt.domain(DOMAIN)).disks[0]?.path, image, `${what}: the guest writes to its own disk`)
    t.equal(await guestAgent(libvirt, DOMAIN, systemClock).isFrozen(), false, `${what}: the guest is not frozen`)
    t.ok((await guest.ticks()) >= before, `${what}: its writes are there`)
  }

  await t.test('of ours, at each step', async () => {
    for (const method of ['pull', 'overlay'] as const) {
      for (const step of STEPS) await crash(method, step, 0)
      for (const moment of MOMENTS_MS) await crash(method, 'begin', moment)
    }
    t.equal(Number(await guest.shell('wc -l < /root/afters')), runs, 'the script that was due has run each time')
  })
  t.comment(`${runs} crashes of ours`)

  const options = { libvirt, domain: DOMAIN, scratch: { folder: scratch, reserveBytes: 0 }, clock: systemClock }
  const killQemu = async (copy: HostCopy): Promise<number> => {
    const ticks = await guest.ticks()
    await guest.kill()
    await t.rejects(
      copy.verify().then(async () => await copy.disks[0]?.disk.read(0, new Uint8Array(1 << 20))),
      {
        name: 'GranaryError',
      },
    )
    return ticks
  }

  await t.test('of QEMU, in a pull-mode backup', async t => {
    const journal = join(folder, 'journal-qemu-pull')
    const copy = await openPullCopy({ ...options, journal: fileJournal(journal) })
    const ticks = await killQemu(copy)
    await copy[Symbol.asyncDispose]()
    t.strictSame(unsettled(journal), [])
    t.strictSame(readdirSync(scratch), [])
    await guest.start()
    t.ok((await guest.ticks()) >= ticks, 'no write is lost')
  })

  await t.test('of QEMU, with overlays', async t => {
    const journal = join(folder, 'journal-qemu-overlay')
    const copy = await openOverlayCopy({ ...options, journal: fileJournal(journal) })
    await guest.shell('echo late > /root/late; sync')
    const ticks = await guest.ticks()
    await guest.kill()
    await t.rejects(copy.verify(), { code: 'GRANARY_REMOTE' })
    const failure = await copy[Symbol.asyncDispose]().then(
      () => undefined,
      (error: { code: string; detail: { overlays: string; bases: string } }) => error,
    )
    t.match(failure, { code: 'GRANARY_REMOTE', detail: { bases: image } })
    const overlay = failure?.detail.overlays as string
    t.ok(existsSync(overlay), 'nothing was deleted')
    await t.rejects(undoAll(journal), { code: 'GRANARY_REMOTE', hint: /qemu-img commit/ })
    t.ok(existsSync(overlay), 'nor by the next start')

    // What the operator is told to do.
    await run('qemu-img', ['commit', '-d', overlay])
    await run('virsh', ['-c', libvirt.uri, 'define', join(folder, 'domain.xml')])
    await guest.start()
    t.ok((await guest.ticks()) >= ticks, 'no write is lost')
    t.equal(await guest.shell('cat /root/late'), 'late\n')
    await run('rm', [overlay])
    await undoAll(journal)
    t.strictSame(readdirSync(scratch), [])
  })
})
