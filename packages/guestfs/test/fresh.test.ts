import t from 'tap'
import { openVolumes } from '../src/index.ts'
import { fileDisk } from './helpers/file-disk.ts'
import { freshFileSystem, freshSkip, kinds } from './helpers/fresh.ts'
import { differences } from './helpers/manifest.ts'

const isLong = process.env['GRANARY_TEST_LONG'] !== undefined

/** As many of each kind, with the view of the kernel, a driver of FUSE or mtools to compare. */
const COUNT = isLong ? 60 : 20

t.setTimeout(isLong ? 3_600_000 : 900_000)

for (const kind of kinds) {
  if (!kind.name.match(process.env['GRANARY_KINDS'] ?? '')) continue
  t.test(`${kind.name}: random file systems are what the kernel shows`, { skip: freshSkip(kind) }, async t => {
    t.comment(`${COUNT} file systems, seeds 0 to ${COUNT - 1}`)
    for (let seed = 0; seed < COUNT; seed++) {
      await using fresh = await freshFileSystem(kind, { seed, files: isLong ? 120 : 40, maxFileBytes: 60_000 })
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
