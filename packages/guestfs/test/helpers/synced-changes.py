"""Changes a mounted file system at random and syncs some of the changes: work for a log.

Usage: synced-changes.py base DIR SEED FILES      files and directories that are committed afterwards
       synced-changes.py change DIR SEED STEPS    changes; files and directories are synced one by one, the file system never
"""
import os, random, stat, sys

EDGES = [0, 1, 100, 2047, 2048, 4095, 4096, 4097, 8192, 20000, 70000, 140000]


def all_paths(top):
    dirs, files = [top], []
    for folder, names, others in os.walk(top):
        dirs += [os.path.join(folder, name) for name in sorted(names) if not os.path.islink(os.path.join(folder, name))]
        files += [os.path.join(folder, name) for name in sorted(others)]
    return dirs, files


def sync(path):
    if stat.S_ISREG(os.lstat(path).st_mode) or stat.S_ISDIR(os.lstat(path).st_mode):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def content(rng, size):
    return rng.randbytes(size) if rng.random() < 0.5 else (b'%d ' % rng.randrange(1000)) * (size // 2 + 1)


def new_name(rng, dirs):
    name = rng.choice(['a', 'b', 'файл %d' % rng.randrange(40), 'n%d' % rng.randrange(60), 'x' * 200 + str(rng.randrange(30))])
    return os.path.join(rng.choice(dirs), name)


def create(rng, dirs, files):
    path = new_name(rng, dirs)
    if os.path.lexists(path):
        return
    kind = rng.random()
    if kind < 0.65:
        size = rng.choice(EDGES)
        with open(path, 'wb') as file:
            file.write(content(rng, size)[:size])
    elif kind < 0.85:
        os.mkdir(path)
    elif kind < 0.93:
        os.symlink('to ' + 'y' * rng.randrange(200), path)
    else:
        os.mkfifo(path)
    return path


def write(rng, dirs, files):
    path = rng.choice(files)
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return
    with open(path, 'r+b') as file:
        size = os.fstat(file.fileno()).st_size
        what = rng.random()
        if what < 0.45:
            file.seek(rng.choice([0, size, rng.randrange(size + 1), rng.randrange(200000) // 4096 * 4096]))
            length = rng.choice(EDGES)
            file.write(content(rng, length)[:length])
        elif what < 0.75:
            file.truncate(rng.choice(EDGES + [rng.randrange(size + 1)]))
        elif what < 0.9:
            os.posix_fallocate(file.fileno(), rng.randrange(size + 5000), rng.choice([4096, 10000, 50000]))
        else:
            start = rng.randrange(size + 1)
            os.pwrite(file.fileno(), bytes(8192), start)
    return path


def move(rng, dirs, files):
    source, target = rng.choice(files + dirs[1:]), new_name(rng, dirs)
    if rng.random() < 0.3:
        target = rng.choice(files)
    if os.path.isdir(source) and (target + '/').startswith(source + '/') or os.path.isdir(source) != os.path.isdir(target) and os.path.lexists(target):
        return
    os.rename(source, target)
    return target


def swap(rng, dirs, files):
    one, other = rng.choice(files), rng.choice(files)
    if one == other:
        return
    os.rename(one, one + '~')
    os.rename(other, one)
    os.rename(one + '~', other)
    return one


def link(rng, dirs, files):
    target = new_name(rng, dirs)
    os.link(rng.choice(files), target, follow_symlinks=False)
    return target


def unlink(rng, dirs, files):
    path = rng.choice(files)
    os.unlink(path)
    if rng.random() < 0.4:
        with open(path, 'wb') as file:
            file.write(b'anew')
        return path
    return os.path.dirname(path)


def remove_dir(rng, dirs, files):
    path = rng.choice(dirs[1:])
    os.rmdir(path)
    return os.path.dirname(path)


def decorate(rng, dirs, files):
    path = rng.choice(files + dirs)
    what = rng.random()
    if what < 0.3:
        os.chown(path, rng.choice([0, 1000, 70000]), 7, follow_symlinks=False)
    elif what < 0.5:
        os.utime(path, ns=(0, rng.randrange(2 * 10**18)), follow_symlinks=False)
    elif what < 0.8:
        os.setxattr(path, 'trusted.k%d' % rng.randrange(4), rng.randbytes(rng.choice([0, 10, 800])), follow_symlinks=False)
    else:
        for name in os.listxattr(path, follow_symlinks=False)[:1]:
            os.removexattr(path, name, follow_symlinks=False)
    return path


STEPS = [(create, 25), (write, 25), (move, 12), (swap, 4), (link, 8), (unlink, 10), (remove_dir, 3), (decorate, 13)]


def step(rng, top, sync_share):
    dirs, files = all_paths(top)
    act = rng.choices([each for each, _ in STEPS], [weight for _, weight in STEPS])[0]
    try:
        path = act(rng, dirs, files)
    except (OSError, IndexError):
        return
    if path is not None and rng.random() < sync_share:
        sync(path)
    elif rng.random() < sync_share / 2:
        sync(rng.choice(files + dirs))


def main(command, top, seed, count):
    rng = random.Random(seed + ' ' + command)
    if command == 'base':
        for _ in range(count):
            step(rng, top, 0)
        many = os.path.join(top, 'many')
        if not os.path.lexists(many):
            os.mkdir(many)
            for index in range(300):
                open(os.path.join(many, 'n%d' % index), 'wb').close()
        return
    share = rng.choice([0.1, 0.3, 0.6])
    for _ in range(count):
        step(rng, top, share)
    dirs, files = all_paths(top)
    sync(rng.choice(files + dirs))


main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
