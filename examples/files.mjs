// Takes files out of a disk without mounting it: shows its volumes, lists a folder, and extracts it.
//
//   node examples/files.mjs DISK.raw [VOLUME [/PATH FOLDER]]
import { formatBytes, openRawReader } from '@granary/core'
import { extractToFolder, selectedItems } from '@granary/extract'
import { openVolumes, resolvePath } from '@granary/guestfs'

const [path, id, from = '/', target] = process.argv.slice(2)
const disk = await openRawReader(path) // or a disk of a snapshot: openDisk(repository, id)
const set = await openVolumes([disk]) // all disks of one machine: volume groups and arrays may span several
for (const { id, content, sizeBytes, whyNot } of set.volumes)
  console.log(id, content ?? '-', formatBytes(sizeBytes), whyNot === undefined ? '' : `(${whyNot.message})`)

const volume = set.volumes.find(volume => volume.whyNot === undefined && (id === undefined || volume.id === id))
if (volume === undefined) throw new Error('no volume to read')
const tree = await volume.open()
const folder = await resolvePath(tree, from)
for await (const { name, node } of tree.list(folder)) {
  const { type, sizeBytes, mtime = 0n } = await tree.stat(node)
  console.log(type.padEnd(8), new Date(Number(mtime / 1_000_000n)).toISOString(), sizeBytes, name.text)
}

if (target !== undefined) {
  const onError = (file, error) => console.error(`${file}: ${error.message}`) // The others go on.
  const report = await extractToFolder(selectedItems([{ tree, node: folder, path: { text: '' } }]), target, { onError })
  console.log(`${report.files} files, ${formatBytes(report.bytes)}, ${report.failed} failed`)
}
for (const warning of tree.warnings) console.error(`${warning.where}: ${warning.message}`)
for (const open of [tree, set, disk]) await open[Symbol.asyncDispose]()
