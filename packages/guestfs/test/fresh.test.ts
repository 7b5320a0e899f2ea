import t from 'tap'
import { openVolumes } from '../src/index.ts'
import { fileDisk } from './helpers/file-disk.ts'
import { freshFileSystem, freshSkip, kinds } from './helpers/fresh.ts'
import { differences } from './helpers/manifest.ts'

/** As many of each kind, with the kernel's or mtools' view to compare. */
const COUNT = process.env['GRANARY_TEST_LONG'] === undefined ? 4 : 60

t.setTimeout(process.env['GRANARY_TEST_LONG'] === undefined ? 115_000 : 3_600_000)

for (const kind of kinds) {
  t.test(`${kind.name}: random file systems are what the kernel shows`, { skip: freshSkip(kind) }, async t => {
    t.comment(`${COUNT} file systems, seeds 0 to ${COUNT - 1}`)
    for (let seed = 0; seed < COUNT; seed++) {
      await using fresh = await freshFileSystem(kind, { seed, files: 120, maxFileBytes: 60_000 })
      await using disk = await fileDisk(fresh.path)
      await using set = await openVolumes([disk])
      const [volume] = set.volumes
      t.equal(volume?.content, kind.name, `seed ${seed}: recognised`)
      if (volume === undefined) continue
      await using tree = await volume.open()
      const found = await differences(tree, fresh.volume, kind.rules)
      t.strictSame(found.slice(0, 10), [], `seed ${seed}${fresh.isDirty ? ', dirty' : ''}: ${found.length} differences`)
      t.strictSame(tree.warnings, [], `seed ${seed}: no warnings`)
    }
  })
}
