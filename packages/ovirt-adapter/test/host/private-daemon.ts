/**
 * A libvirtd of the test's own. Its state lies in a mount namespace of its own: it neither sees nor disturbs a libvirtd of
 * this machine, nor another one of the test, to which it looks like another host.
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Libvirt } from '../../src/index.ts'

/** Parameters: the folder of its sockets, the name of the host, and its id. */
const DAEMON = `set -e
hostname "$2"
for d in /etc/libvirt /run/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do mkdir -p $d; mount -t tmpfs tmpfs $d; done
mkdir -p /etc/libvirt/qemu /var/lib/libvirt/qemu /var/log/libvirt/qemu
printf 'user = "root"\\ngroup = "root"\\ndynamic_ownership = 0\\nremember_owner = 0\\nsecurity_driver = "none"\\nnamespaces = [ ]\\ncgroup_controllers = [ ]\\nstdio_handler = "file"\\n' > /etc/libvirt/qemu.conf
printf 'auth_unix_rw = "none"\\nunix_sock_dir = "%s"\\nhost_uuid = "%s"\\n' "$1" "$3" > /etc/libvirt/libvirtd.conf
exec libvirtd -f /etc/libvirt/libvirtd.conf -p "$1/libvirtd.pid"`

/** @param sockets a folder that is made for it */
export const startDaemon = async (
  t: { teardown: (clean: () => unknown) => void },
  sockets: string,
  hostName: string,
): Promise<Libvirt> => {
  mkdirSync(sockets)
  const namespaces = ['--mount', '--uts', '--propagation', 'private']
  const daemon = spawn('unshare', [...namespaces, 'sh', '-c', DAEMON, 'libvirtd', sockets, hostName, randomUUID()], {
    stdio: 'ignore',
  })
  t.teardown(() => daemon.kill('SIGKILL'))
  const libvirt = new Libvirt({ uri: `qemu:///system?socket=${join(sockets, 'libvirt-sock')}` })
  await until(async () => {
    if (daemon.exitCode !== null) throw new Error(`libvirtd ended with ${daemon.exitCode}`)
    return await libvirt.run(['list']).then(...ANSWERED)
  })
  return libvirt
}

/** Real programs take real time: asked again until they are there. The test's own timeout is the limit. */
export const until = async (isSo: () => Promise<boolean>): Promise<void> => {
  while (!(await isSo())) await sleep(100)
}

const ANSWERED = [() => true, () => false] as const
