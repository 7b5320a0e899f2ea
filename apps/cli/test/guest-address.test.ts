import t from 'tap'
import { parseGuestAddress } from '../src/guest/guest-address.ts'

t.test('files inside disks are named by disks, a volume and a path', async t => {
  const cases: Readonly<Record<string, [readonly string[], string?, string?, number?]>> = {
    'web.qcow2': [['web.qcow2']],
    'raw:/vm/web.raw:p1': [['raw:/vm/web.raw'], 'p1'],
    'raw:/vm/web.raw:p1:/etc/fstab': [['raw:/vm/web.raw'], 'p1', '/etc/fstab'],
    'web.raw:p1:': [['web.raw'], 'p1'],
    'web.raw:p1:/a:b+c:/d\\:': [['web.raw'], 'p1', '/a:b+c:/d\\:'],
    'web.raw:vg/root:/': [['web.raw'], 'vg/root', '/'],
    'web.raw:p2@257:/home': [['web.raw'], 'p2', '/home', 257],
    'a.raw+raw:/b.raw+qcow2:c:guest:/x': [['a.raw', 'raw:/b.raw', 'qcow2:c'], 'guest', '/x'],
    'granary:latest': [['granary:latest']],
    'granary:1f2e/root+granary:1f2e/data:d1p1:/': [['granary:1f2e/root', 'granary:1f2e/data'], 'd1p1', '/'],
    'nbd://host': [['nbd://host']],
    'nbd://host:10809/disk:p1:/a': [['nbd://host:10809/disk'], 'p1', '/a'],
    'nbd://[::1]:10809/disk+web.raw:d0': [['nbd://[::1]:10809/disk', 'web.raw'], 'd0'],
    'nbd+unix:///disk?socket=/run/a.sock:p1:/a': [['nbd+unix:///disk?socket=/run/a.sock'], 'p1', '/a'],
    'raw:/vm/a\\:b\\+c\\\\d.raw:p1': [['raw:/vm/a:b+c\\d.raw'], 'p1'],
  }
  for (const [text, [disks, volume, path = '', subvolume]] of Object.entries(cases))
    t.strictSame(parseGuestAddress(text), { disks, volume, subvolume, path }, text)
})

t.test('what names no disk, volume or path is refused', async t => {
  for (const text of [
    '',
    '+a.raw',
    'a.raw+',
    ':p1',
    'raw:',
    'a.raw:',
    'a.raw::/x',
    'a.raw:p1:x',
    'a.raw:p1@x:/',
    'a.raw:p1:x:/y',
  ])
    t.throws(() => parseGuestAddress(text), { code: 'GRANARY_INVALID_ARGUMENT' }, text)
})
