// Lists the files of a backed up disk, finds some, and writes them to an ISO image: straight from the repository.
//
//   node examples/find-files.mjs DISK.raw WORD TARGET.iso
import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CatalogIndex, recordCatalog, searchCatalog } from '@granary/catalog'
import { openRawReader } from '@granary/core'
import { backup, initRepository, memoryBackend, openDisk, openRepository } from '@granary/dedup-store'
import { isoEntriesOf, planIso, selectedItems } from '@granary/extract'
import { openVolumes } from '@granary/guestfs'

const [path, word, target] = process.argv.slice(2)
const backend = memoryBackend()
const secret = { kind: 'passphrase', passphrase: 'correct horse battery staple' }
await initRepository(backend, secret)
const repository = await openRepository(backend, secret)
const source = await openRawReader(path)
const { id } = await backup(repository, [{ name: 'disk', source: path, disk: source }], { name: 'example' })

// The list goes into the repository; the index, a file, is made from it and may be deleted at any time.
const { rows } = await recordCatalog(repository, id)
const index = await CatalogIndex.open(`${target}.index`)
await index.sync(repository)
const { hits } = searchCatalog(index, { contains: word, types: ['file'], sort: 'size', limit: 1000 })
console.log(`${hits.length} of ${rows} files have "${word}" in their path`)

// Each file that was found becomes a selection: a node of the tree of its volume, and a place in the image.
const disk = await openDisk(repository, id)
const set = await openVolumes([disk])
const trees = new Map()
const selections = []
for (const { volume, row } of hits) {
  if (!trees.has(volume.id)) trees.set(volume.id, await set.volumes.find(one => one.id === volume.id).open())
  const tree = trees.get(volume.id)
  const file = `${row.directory.text}/${row.name.text}`
  selections.push({ tree, node: await tree.lookup(file), path: { text: `${volume.id}${file}` } })
}
const onError = (file, error) => console.error(file, error.message)
const image = await planIso(isoEntriesOf(selectedItems(selections), { onError }))
await pipeline(Readable.from(image.write()), createWriteStream(target))
console.log(`${image.files} files, ${image.sizeBytes} bytes`)

for (const open of [...trees.values(), set, disk, index, source, repository]) await open[Symbol.asyncDispose]()
