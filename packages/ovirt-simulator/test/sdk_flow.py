"""The official SDK against a simulator: list, back up, transfer, finalize. Prints what it saw as one JSON line."""
import http.client
import json
import ssl
import sys
import time
from urllib.parse import urlparse

import ovirtsdk4 as sdk
from ovirtsdk4 import types

url, ca_file, user, password = sys.argv[1:5]
connection = sdk.Connection(url=url, username=user, password=password, ca_file=ca_file, timeout=60)
system = connection.system_service()
seen = {}

api = system.get()
seen["product"] = api.product_info.name
seen["major"] = api.product_info.version.major
seen["clusters"] = [cluster.name for cluster in system.clusters_service().list()]
seen["domains"] = [domain.storage.type.value for domain in system.storage_domains_service().list()]
[vm] = system.vms_service().list(search="name=web")
seen["status"] = vm.status.value
seen["memory"] = vm.memory
vm_service = system.vms_service().vm_service(vm.id)
attachments = vm_service.disk_attachments_service().list()
disks = [system.disks_service().disk_service(one.id).get() for one in attachments]
seen["disks"] = [[disk.format.value, disk.provisioned_size, disk.status.value] for disk in disks]
full = vm_service.get(all_content=True)
seen["ovf"] = full.initialization.configuration.data[:5]
followed = vm_service.get(follow="disk_attachments.disk,nics")
seen["followed"] = [one.disk.alias for one in followed.disk_attachments]
seen["nics"] = [nic.mac.address for nic in followed.nics]


def wait(get, phases):
    for _ in range(600):
        entity = get()
        if entity.phase in phases:
            return entity
        time.sleep(0.05)
    raise RuntimeError(f"still {entity.phase}")


def download(transfer_url, start, length):
    address = urlparse(transfer_url)
    context = ssl.create_default_context(cafile=ca_file)
    client = http.client.HTTPSConnection(address.hostname, address.port, context=context)
    client.request("GET", address.path, headers={"Range": f"bytes={start}-{start + length - 1}"})
    response = client.getresponse()
    data = response.read()
    client.close()
    return response.status, data


backups = vm_service.backups_service()
backup = backups.add(
    types.Backup(description="sdk", disks=[types.Disk(id=disk.id) for disk in disks]),
    query={"require_consistency": True},
)
backup_service = backups.backup_service(backup.id)
ready = wait(backup_service.get, [types.BackupPhase.READY, types.BackupPhase.FAILED])
seen["backup"] = ready.phase.value
seen["checkpoint"] = ready.to_checkpoint_id is not None
seen["modes"] = [disk.backup_mode.value for disk in backup_service.disks_service().list()]
transfers = system.image_transfers_service()
seen["read"] = []
for disk in disks:
    transfer = transfers.add(
        types.ImageTransfer(
            disk=types.Disk(id=disk.id),
            backup=types.Backup(id=backup.id),
            direction=types.ImageTransferDirection.DOWNLOAD,
            format=types.DiskFormat.RAW,
            inactivity_timeout=600,
            timeout_policy=types.ImageTransferTimeoutPolicy.CANCEL,
        )
    )
    service = transfers.image_transfer_service(transfer.id)
    running = wait(service.get, [types.ImageTransferPhase.TRANSFERRING])
    status, data = download(running.transfer_url, 0, 16)
    seen["read"].append([status, data[0], running.image.id == disk.id])
    service.finalize()
    wait(service.get, [types.ImageTransferPhase.FINISHED_SUCCESS])
backup_service.finalize()
seen["end"] = wait(backup_service.get, [types.BackupPhase.SUCCEEDED, types.BackupPhase.FAILED]).phase.value
checkpoints = vm_service.checkpoints_service().list()
seen["checkpoints"] = [[one.id == ready.to_checkpoint_id, one.state.value] for one in checkpoints]

# A disk is made, filled, and given to a new machine.
made = system.disks_service().add(
    types.Disk(
        alias="restored",
        provisioned_size=1024 * 1024,
        format=types.DiskFormat.COW,
        sparse=True,
        backup=types.DiskBackup.INCREMENTAL,
        storage_domains=[types.StorageDomain(name="nfs-data")],
    )
)
disk_service = system.disks_service().disk_service(made.id)
for _ in range(600):
    if disk_service.get().status == types.DiskStatus.OK:
        break
    time.sleep(0.05)
target = system.vms_service().add(
    types.Vm(name="restored", cluster=types.Cluster(name="Default"), template=types.Template(name="Blank"), memory=2**30)
)
target_service = system.vms_service().vm_service(target.id)
target_service.nics_service().add(types.Nic(name="nic1", interface=types.NicInterface.VIRTIO))
target_service.disk_attachments_service().add(
    types.DiskAttachment(
        disk=types.Disk(id=made.id), interface=types.DiskInterface.VIRTIO_SCSI, bootable=True, active=True
    )
)
target_service.start()
for _ in range(600):
    if target_service.get().status == types.VmStatus.UP:
        break
    time.sleep(0.05)
seen["restored"] = target_service.get().status.value
try:
    system.vms_service().add(types.Vm(name="web", cluster=types.Cluster(name="Default"), template=types.Template(name="Blank")))
except sdk.Error as error:
    seen["conflict"] = [error.code, "already in use" in str(error)]
try:
    target_service.remove()
except sdk.Error as error:
    seen["running"] = error.code
event = system.events_service().add(
    types.Event(origin="sdk-test", severity=types.LogSeverity.NORMAL, custom_id=7, description="done")
)
seen["event"] = event.code
connection.close()
print(json.dumps(seen))
