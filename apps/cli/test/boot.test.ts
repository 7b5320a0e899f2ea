/** A guest boots from a stored disk over an overlay, and reads its files back right. */
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { join } from 'node:path'
import { sharedPath, startGranary } from '@granary/testing'
import t from 'tap'
import { createRepository, granary } from './in-process.ts'
import { peer, whyNo } from './peers.ts'

t.setTimeout(600_000)
const makeGuest = sharedPath('guest-vm', 'make-guest.sh')

const whyNoGuest = (): string | false => {
  if (process.env['GRANARY_TEST_LONG'] === undefined) return 'needs GRANARY_TEST_LONG: it fetches a kernel and boots it'
  if (makeGuest === undefined) return 'needs ../shared/guest-vm'
  return whyNo('qemu-system-x86_64', 'qemu-ga', 'busybox', 'cpio', 'mkfs.ext4', 'debugfs', 'nbdcopy')
}

t.test('a guest boots from a stored disk over an overlay', { skip: whyNoGuest() }, async t => {
  const { folder, env } = await createRepository(t)
  const [guest, socket, overlay] = [join(folder, 'guest'), join(folder, 's.sock'), join(folder, 'o.qcow2')]
  await peer('bash', makeGuest as string, guest)
  const root = join(guest, 'root.raw')
  t.equal((await granary(['backup', root], { env })).code, 0)
  const listen = ['--listen', `nbd+unix://${socket}`, '--writable', '--overlay', overlay]
  const server = startGranary(['serve', 'granary:latest', ...listen], { env, output: 'unread' })
  t.teardown(() => server.child.kill('SIGKILL'))
  const [uri] = (await once(createInterface({ input: server.child.stdout as Readable }), 'line')) as [string]

  const drive = `file=${uri},format=raw,if=virtio`
  const append = 'console=ttyS0 quiet panic=1'
  const machine = ['-accel', 'tcg', '-m', '256', '-nographic', '-no-reboot', '-append', append, '-drive', drive]
  const kernel = ['-kernel', join(guest, 'vmlinuz'), '-initrd', join(guest, 'initrd.img')]
  const vm = spawn('qemu-system-x86_64', [...machine, ...kernel], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => vm.kill('SIGKILL'))
  let booted = false
  for await (const line of createInterface({ input: vm.stdout })) {
    booted = line.includes('GUEST-BOOTED')
    if (booted) break
  }
  t.ok(booted, 'it came up')

  // The guest has counted its boot, durably, once the file is there: its disk is read while it runs.
  const cat = async (file: string): Promise<string> => {
    const copy = join(folder, 'copy.raw')
    await peer('nbdcopy', uri, copy)
    await peer('e2fsck', '-fy', '-E', 'journal_only', copy).catch(() => undefined)
    return await peer('debugfs', '-R', `cat ${file}`, copy)
  }
  while ((await cat('/root/boots').catch(() => '')) !== '1\n') if (vm.exitCode !== null) throw new Error('it ended')
  const ended = once(vm, 'exit')
  vm.kill()
  await ended
  t.equal(await cat('/sbin/init'), await peer('debugfs', '-R', 'cat /sbin/init', root), 'its files are those stored')
  server.child.kill('SIGTERM')
  t.equal((await server.done).code, 0)
  t.equal((await granary(['check', `qcow2:${overlay}`])).code, 0)
  const stored = await granary(['restore', 'latest', '-'], { env })
  t.ok(stored.stdout.equals(readFileSync(root)), 'what is stored stays as it was')
})
