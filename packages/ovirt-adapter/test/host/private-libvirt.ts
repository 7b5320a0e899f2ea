/** A libvirtd of the test's own, with a real guest under QEMU's emulation. */
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { projectPath, sharedPath } from '@granary/testing'
import type { Libvirt } from '../../src/index.ts'
import { startDaemon, until } from './private-daemon.ts'

export const run = promisify(execFile)

const PROGRAMS = [
  'virsh',
  'libvirtd',
  'qemu-system-x86_64',
  'qemu-img',
  'qemu-ga',
  'busybox',
  'cpio',
  'mkfs.ext4',
  'nbdcopy',
]

/** Why the suites that need a guest are left out here, if they are. */
export const whyNoGuest = (): string | false => {
  if (sharedPath('guest-vm', 'make-guest.sh') === undefined) return 'needs ../shared/guest-vm'
  const missing = PROGRAMS.find(program => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0)
  if (missing !== undefined) return `needs ${missing}`
  return spawnSync('unshare', ['-m', 'true']).status === 0 ? false : 'needs root, for a mount namespace'
}

export const DOMAIN = '6f2f1d1e-1111-4222-8333-444455556666'
export const DISK = '0d5c0a2e-5a86-4d0a-9a52-9b9b6a5f0001'

export interface TestGuest {
  readonly folder: string
  readonly libvirt: Libvirt
  /** The image that the guest's disk is on. */
  readonly image: string
  /** Makes the disk anew and starts the domain, up to its agent's first answer. */
  start(options?: { readonly isFresh?: boolean }): Promise<void>
  /** `kill -9` of QEMU. */
  kill(): Promise<void>
  /** Runs a shell command in the guest. */
  shell(command: string): Promise<string>
  /** Process id of QEMU. */
  pid(): number
  /** Until QEMU is gone and libvirt knows it. */
  isOff(): Promise<void>
  /** Gives the domain its own disks again, as the platform does before each start. */
  define(): Promise<void>
  /** A process in the guest that writes lines durably, one after the other, and tells the console of each when it is. */
  startWriter(): Promise<void>
  /** How many of its lines are there. */
  acknowledged(): Promise<number>
  /** A small file system for scratch files, as large as was asked for. */
  readonly small: string
  /** The file with what the guest's console shows, for `acknowledgedIn`. */
  readonly console: string
}

/** The last line that the guest's writer told the console of. */
export const acknowledgedIn = (text: string): number => Number([...text.matchAll(/^ack (\d+)\r?$/gm)].at(-1)?.[1] ?? 0)

const WRITER =
  'n=$(wc -l < /root/acks || echo 0); while :; do n=$((n+1)); echo $n >> /root/acks; sync; echo "ack $n" > /dev/ttyS0; usleep 20000; done'

export interface CreateGuestOptions {
  readonly domain?: string
  readonly disk?: string
  /** Size of a file system of its own at `small`; without it there is none. */
  readonly smallMiB?: number
}

/** Starts libvirtd and builds the guest; everything is gone after the test. */
export const createGuest = async (
  t: { teardown: (clean: () => unknown) => void },
  { domain = DOMAIN, disk = DISK, smallMiB }: CreateGuestOptions = {},
): Promise<TestGuest> => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-host-'))
  const small = join(folder, 'small')
  mkdirSync(small)
  if (smallMiB !== undefined) await run('mount', ['-t', 'tmpfs', '-o', `size=${smallMiB}m`, 'granary-test', small])
  t.teardown(async () => {
    killQemu(folder)
    if (smallMiB !== undefined) await run('umount', ['--lazy', small])
    rmSync(folder, { recursive: true, force: true })
  })
  await buildGuest(folder)
  const libvirt = await startDaemon(t, join(folder, 'run'), 'host1')
  const image = join(folder, 'vda.qcow2')
  writeFileSync(join(folder, 'domain.xml'), domainXml({ folder, image, domain, disk }))
  await libvirt.run(['define', join(folder, 'domain.xml')])

  const agent = async (execute: string, parameters: object = {}): Promise<Record<string, unknown>> => {
    const request = JSON.stringify({ execute, arguments: parameters })
    const answer = await libvirt.run(['qemu-agent-command', domain, '--timeout', '20', request])
    return (JSON.parse(answer) as { return: Record<string, unknown> }).return
  }
  const shell = async (command: string): Promise<string> => {
    const { pid } = await agent('guest-exec', { path: '/bin/sh', arg: ['-c', command], 'capture-output': true })
    let status: Record<string, unknown> = {}
    await until(async () => (status = await agent('guest-exec-status', { pid }))['exited'] === true)
    if (status['exitcode'] !== 0) throw new Error(`in the guest: ${command} ended with ${String(status['exitcode'])}`)
    return Buffer.from(String(status['out-data'] ?? ''), 'base64').toString('utf8')
  }
  const isOff = async (): Promise<void> => await until(async () => (await libvirt.state(domain)) === 'shut off')
  return {
    folder,
    libvirt,
    image,
    small,
    shell,
    async start({ isFresh = false } = {}) {
      if (isFresh) await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', join(folder, 'root.raw'), image])
      await libvirt.run(['start', domain])
      await until(async () => {
        try {
          return (await agent('guest-ping'), true)
        } catch (error) {
          // libvirt gave up its connection to the agent, as it may on a busy machine; another start opens it again.
          if (!String(error).includes('not available due to an error')) return false
          killQemu(folder)
          await isOff()
          await libvirt.run(['start', domain])
          return false
        }
      })
    },
    async kill() {
      killQemu(folder)
      await isOff()
    },
    pid: () => qemuOf(folder)[0] as number,
    isOff,
    define: async () => void (await libvirt.run(['define', join(folder, 'domain.xml')])),
    async startWriter() {
      await shell(`touch /root/acks; (${WRITER}) < /dev/null > /dev/null 2>&1 &`)
      await until(async () => acknowledgedIn(readFileSync(join(folder, 'serial.log'), 'utf8')) > 0)
    },
    acknowledged: async () => Number((await shell('wc -l < /root/acks')).trim()),
    console: join(folder, 'serial.log'),
  }
}

/** Kernel, its first file system, and the root disk: built once for all test files, as unpacking a kernel takes seconds. */
const buildGuest = async (folder: string): Promise<void> => {
  const script = sharedPath('guest-vm', 'make-guest.sh') as string
  const kept = projectPath(
    '.tap',
    `guest-${createHash('sha256').update(readFileSync(script)).digest('hex').slice(0, 16)}`,
  )
  if (!existsSync(kept)) {
    const made = `${kept}-${process.pid}`
    await run('bash', [script, made], { maxBuffer: 64 * 1024 * 1024 })
    for (const name of readdirSync(made)) if (!GUEST_FILES.includes(name)) rmSync(join(made, name), { recursive: true })
    await rename(made, kept).catch(() => rmSync(made, { recursive: true })) // Another test was faster.
  }
  for (const name of GUEST_FILES) await run('cp', ['--sparse=always', join(kept, name), folder])
}

const GUEST_FILES = ['vmlinuz', 'initrd.img', 'root.raw']

/** Processes whose command line has all of these in it. */
export const processesWith = (...texts: readonly string[]): number[] =>
  readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && texts.every(text => commandOf(name).includes(text)))
    .map(Number)

const qemuOf = (folder: string): number[] => processesWith('qemu-system', folder)

const killQemu = (folder: string): void => qemuOf(folder).forEach(pid => process.kill(pid, 'SIGKILL'))

const commandOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

const domainXml = ({
  folder,
  image,
  domain,
  disk,
}: Record<'folder' | 'image' | 'domain' | 'disk', string>): string => `<domain type='qemu'>
  <name>guest</name><uuid>${domain}</uuid>
  <memory unit='MiB'>192</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><kernel>${folder}/vmlinuz</kernel><initrd>${folder}/initrd.img</initrd>
    <cmdline>console=ttyS0 loglevel=4 mitigations=off tsc=reliable no_timer_check nokaslr</cmdline></os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/><source file='${image}'/>
      <target dev='vda' bus='virtio'/><serial>${disk}</serial></disk>
    <controller type='virtio-serial' index='0'/>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <serial type='file'><source path='${folder}/serial.log'/><target port='0'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>`
