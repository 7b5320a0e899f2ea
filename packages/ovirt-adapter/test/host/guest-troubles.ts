/** What befalls a guest while it is copied: no room, a pause, a freeze that takes too long. It loses nothing and goes on. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@granary/dedup-store'
import type { Test } from 'tap'
import { guestAgent, noJournal, openOverlayCopy, openPullCopy, undoHostIntent } from '../../src/index.ts'
import type { HostCopyOptions } from '../../src/index.ts'
import { fileJournal, unsettled } from './file-journal.ts'
import { until } from './private-daemon.ts'
import { DOMAIN } from './private-libvirt.ts'
import type { TestGuest } from './private-libvirt.ts'

const METHODS = { pull: openPullCopy, overlay: openOverlayCopy }

/** Subtests, in a guest that has a small file system beside it. */
export const guestTroubles = async (t: Test, guest: TestGuest, scratch: string): Promise<void> => {
  const { libvirt, folder, image, small } = guest
  const options: HostCopyOptions = {
    libvirt,
    domain: DOMAIN,
    scratch: { folder: scratch, reserveBytes: 0 },
    journal: noJournal,
    clock: systemClock,
  }
  const agent = guestAgent(libvirt, DOMAIN, systemClock)
  const reason = async (): Promise<string> => (await libvirt.run(['domstate', DOMAIN, '--reason'])).trim()
  const isClean = async (): Promise<void> => {
    t.strictSame(await libvirt.job(DOMAIN), { kind: 'none' }, 'no job is left')
    t.strictSame([...readdirSync(scratch), ...readdirSync(small)], [], 'no scratch file is left')
    t.equal((await libvirt.domain(DOMAIN)).disks[0]?.path, image, 'the guest writes to its own disk')
  }

  await t.test('whose writes fill the file system of the scratch folder', async t => {
    const write = (name: string, from = '/dev/zero'): string =>
      `dd if=${from} of=/root/${name} bs=1M count=90 conv=notrunc 2>/dev/null; sync`
    await guest.shell(write('blob'))
    const full = async (method: string, open: typeof openPullCopy, watchMs: number): Promise<void> => {
      const copy = await open({ ...options, scratch: { folder: small, reserveBytes: 1024 * 1024, watchMs } })
      // It may be paused before it can say that the command began: the console tells of its end.
      await guest
        .shell(`(${write('blob')}; echo "${method} done" > /dev/ttyS0) > /dev/null 2>&1 < /dev/null &`)
        .catch(() => undefined)
      if (watchMs < 1000) await until(async () => copy.signal.aborted)
      else await until(async () => (await reason()) === 'paused (I/O error)')
      await t.rejects(copy.verify(), { code: 'GRANARY_NO_SPACE' }, `${method}: it is given up`)
      await copy[Symbol.asyncDispose]()
      t.match(await reason(), /^running/, `${method}: the guest goes on`)
      await until(async () => readFileSync(guest.console, 'utf8').includes(`${method} done`))
      await isClean()
    }
    // Looked at so seldom that QEMU finds it full before we do, and so often that it is a matter of luck who does.
    for (const [method, open] of Object.entries(METHODS)) await full(method, open, 600_000)
    await full('watched', openPullCopy, 100)
    const none = { folder: small, reserveBytes: 8 * 1024 * 1024 }
    await t.rejects(openOverlayCopy({ ...options, scratch: none }), { code: 'GRANARY_NO_SPACE' }, 'it is checked first')
    await t.rejects(openPullCopy({ ...options, scratch: { folder: join(folder, 'none') } }), {
      code: 'GRANARY_NOT_FOUND',
    })
    await isClean()
  })

  await t.test('that an administrator pauses', async t => {
    for (const [method, open] of Object.entries(METHODS)) {
      const copy = await open(options)
      await guest.shell(`echo ${method} > /root/paused; sync`)
      await libvirt.run(['suspend', DOMAIN])
      await copy.disks[0]?.disk.read(0, new Uint8Array(1 << 20))
      await t.resolves(copy.verify(), `${method}: the moment is whole`)
      await copy[Symbol.asyncDispose]()
      t.equal(await reason(), 'paused (user)', `${method}: it stays paused`)
      await isClean()
      await t.rejects(open(options), { code: 'GRANARY_REMOTE', message: /paused, not running/ })
      await libvirt.run(['resume', DOMAIN])
      t.equal(await guest.shell('cat /root/paused'), `${method}\n`, `${method}: what it wrote meanwhile is there`)
    }
  })

  await t.test('that takes longer to freeze than it may', async t => {
    const hang = async (seconds: number): Promise<void> =>
      void (await guest.shell(
        `printf '#!/bin/sh\\n[ $1 = freeze ] && sleep ${seconds}\\necho "hook $1 ${seconds}" > /dev/ttyS0\\n' > /etc/qemu/fsfreeze-hook`,
      ))
    const said = async (words: string): Promise<void> =>
      await until(async () => readFileSync(guest.console, 'utf8').includes(words))
    for (const [index, [method, open]] of Object.entries(METHODS).entries()) {
      const seconds = 7 + index
      await hang(seconds)
      const copy = await open({ ...options, freezeTimeoutMs: 1000 })
      t.equal(copy.frozen, 'no', `${method}: it was not frozen at the moment`)
      await said(`hook freeze ${seconds}`)
      await said(`hook thaw ${seconds}`)
      t.pass(`${method}: it is thawed although it froze late`)
      await copy[Symbol.asyncDispose]()
      t.equal(await agent.isFrozen(), false)
      await isClean()
    }
    if (process.env['GRANARY_TEST_LONG'] === undefined)
      return t.comment('a freeze beyond the end of the copy: in the long run')
    await hang(40)
    const journal = join(folder, 'journal')
    await t.rejects(
      openPullCopy({ ...options, requireConsistency: true, freezeTimeoutMs: 1000, journal: fileJournal(journal) }),
      { code: 'GRANARY_REMOTE', message: /not frozen.*may be frozen/, hint: /fsfreeze-thaw/ },
    )
    t.equal(unsettled(journal).length, 1, 'what is not known to be thawed stays in the journal')
    await said('hook freeze 40')
    for (const { intent, settle } of unsettled(journal)) {
      await undoHostIntent(libvirt, intent, { clock: systemClock })
      settle()
    }
    await said('hook thaw 40')
    t.equal(await agent.isFrozen(), false, 'the next start thaws')
    await isClean()
  })
}
