/** Where things are on a host of the platform. CONTRACT §2.6, §8 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findVolume } from '../../src/index.ts'
import { reachHost } from '../../src/host/host-access.ts'
import { World } from '../backup/world.ts'

const [DOMAIN, DISK, VOLUME] = [1, 2, 3].map(n => `0d5c0a2e-5a86-4d0a-9a52-9b9b6a5f000${n}`) as [string, string, string]

t.test(
  '§8 volumes lie below the mount of their domain: <server:_path with _ for />/DOMAIN/images/DISK/VOLUME',
  async t => {
    for (const [n, mount] of ['nas.example:_export_a__b', 'glusterSD/gluster.example:_data'].entries()) {
      const root = join(t.testdir(), String(n))
      const domain = join(root, 'mnt', mount, DOMAIN)
      const path = join(domain, 'images', DISK, VOLUME)
      mkdirSync(join(domain, 'dom_md'), { recursive: true })
      mkdirSync(join(domain, 'images', DISK), { recursive: true })
      for (const suffix of ['', '.meta', '.lease']) writeFileSync(`${path}${suffix}`, '')
      t.equal(await findVolume({ storageDomain: DOMAIN, disk: DISK, volume: VOLUME }, { root }), path)
    }
  },
)

t.test('§8 logical volumes belong to the platform: block domains are not looked into', async t => {
  const root = t.testdir()
  const images = join(root, 'mnt', 'blockSD', DOMAIN, 'images', DISK)
  mkdirSync(join(root, 'mnt', 'blockSD', DOMAIN, 'dom_md'), { recursive: true })
  mkdirSync(images, { recursive: true })
  writeFileSync(join(images, VOLUME), '')
  await t.rejects(findVolume({ storageDomain: DOMAIN, disk: DISK, volume: VOLUME }, { root }), {
    code: 'GRANARY_NOT_FOUND',
    hint: /through the engine/,
  })
})

t.test("§2.6 §8 the host that we are on is known by vdsm's own id; libvirt asks for an account", async t => {
  await using world = await World.open()
  const { engine, simulator } = world
  const [here = '', there = ''] = simulator.site.hostIds
  const { host } = (await engine.get('/hosts')) as unknown as { host: [{ hardware_information: { uuid: string } }] }
  const vdsmIdPath = join(world.folder, 'vdsm.id')
  writeFileSync(vdsmIdPath, `${host[0].hardware_information.uuid}\n`)
  const own = await reachHost(engine, here, { libvirtAuthFile: '/etc/granary/libvirt auth.conf', vdsmIdPath })
  t.equal(own?.isHere, true)
  t.strictSame(own?.libvirt.commandLine('list').slice(-4), [
    '--quiet',
    '--connect',
    'qemu:///system?authfile=%2Fetc%2Fgranary%2Flibvirt%20auth.conf',
    'list',
  ])
  t.equal((await reachHost(engine, here, { vdsmIdPath }))?.libvirt.uri, 'qemu:///system')
  t.equal(await reachHost(engine, there, { vdsmIdPath }), undefined, 'another host, without an account on it')
  const far = await reachHost(engine, there, { libvirtSshUser: 'root', vdsmIdPath })
  t.equal(far?.isHere, false)
  t.match(far?.libvirt.uri, /^qemu\+ssh:\/\/root@127\.\d+\.\d+\.2\/system\?no_tty=1&known_hosts_verify=normal$/)
})
