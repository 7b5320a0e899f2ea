import t from 'tap'
import { escapeXml, parseDomain } from '../../src/host/domain-xml.ts'
import { copyableDisks } from '../../src/host/host-copy.ts'

const domain = (disks: string): string =>
  `<domain type='kvm'><name>a &amp; b</name><uuid>u</uuid><devices><emulator/>${disks}</devices></domain>`

const disk = (target: string, inside: string, device = 'disk'): string =>
  `<disk type='file' device='${device}'><driver name='qemu' type='qcow2'/><target dev='${target}'/>${inside}</disk>`

t.test('a copy holds writable disks of files and devices that no other VM shares', async t => {
  const { name, disks } = parseDomain(
    domain(
      [
        disk('sda', "<source file='/a/&quot;b&quot;'/><serial>id-a</serial>"),
        disk('sdb', "<source dev='/dev/x/y'/><serial>id-b</serial>"),
        disk('sdc', "<source file='/cd.iso'/><readonly/>", 'cdrom'),
        disk('sdd', "<source file='/s'/><shareable/>"),
        disk('sde', "<source protocol='rbd' name='pool/image'/>"),
        disk('sdf', '', 'cdrom'),
      ].join(''),
    ),
  )
  t.equal(name, 'a & b')
  t.equal(disks.length, 6)
  t.equal(disks[0]?.path, '/a/"b"')
  t.strictSame(
    copyableDisks(disks, undefined).map(each => each.target),
    ['sda', 'sdb'],
  )
  t.strictSame(
    copyableDisks(disks, ['id-b']).map(each => each.path),
    ['/dev/x/y'],
  )
  t.strictSame(
    disks.map(each => each.isDevice),
    [false, true, false, false, false, false],
  )
  t.throws(() => copyableDisks(disks, ['sdd']), { code: 'GRANARY_NOT_FOUND' })
  t.equal(parseDomain(domain(disk('vda', "<source file='/one'/>"))).disks.length, 1, 'a single disk is a list, too')
})

t.test('what is no domain is refused', async t => {
  for (const text of ['', '<network/>', '<domain/>', 'error'])
    t.throws(() => parseDomain(text), { code: 'GRANARY_PROTOCOL' }, text)
  t.equal(escapeXml(`<a b='c' d="&">`), '&lt;a b=&apos;c&apos; d=&quot;&amp;&quot;&gt;')
})
