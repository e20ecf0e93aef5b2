"""Which Debian package a file comes from, and what dpkg knows about that package."""
import os
import re
import subprocess

FIELDS = ["Package", "Version", "Architecture", "Maintainer", "Homepage", "source:Package",
          "source:Version", "Section", "Priority", "binary:Summary"]


def run(*cmd):
    """What CMD prints; "" if it fails without a word."""
    return subprocess.run(cmd, text=True, check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=dict(os.environ, LC_ALL="C")).stdout


def names_of(path):
    """PATH as packages may have it: with and without the /usr of merged directories."""
    return [path] + ([path[4:]] if re.match(r"/usr/(bin|sbin|lib\w*)/", path) else [])


class Packages:
    """
    Those that own PATHS, which have no symbolic links in them. A file that no package owns, or that is not as its
    package has it, is an error: the list of packages would not be true.
    """

    def __init__(self, paths):
        names = {name: path for path in paths for name in names_of(path)}
        self.owner = {}  # path: package
        for line in run("dpkg-query", "-S", *sorted(names)).splitlines():
            found = re.fullmatch(r"([\w.+-]+)(?::\w+)?(?:, .*)?: (.*)", line)
            if found and found[2] in names:
                self.owner[names[found[2]]] = found[1]
        for path in sorted(paths):
            if path not in self.owner:
                raise SystemExit("%s: no Debian package owns this file; install the package that has it" % path)
        packages = sorted(set(self.owner.values()))
        for line in run("dpkg", "--verify", *packages).splitlines():
            found = re.fullmatch(r"(\S+) +(c )?(/.*)", line)
            if found and found[3] in names:
                raise SystemExit("%s: not as the package %s has it; reinstall that package" %
                                 (found[3], self.owner[names[found[3]]]))
        self.known = {}  # package: {field: value}
        form = "\\t".join("${%s}" % f for f in FIELDS) + "\\n"
        for line in run("dpkg-query", "-W", "-f", form, *packages).splitlines():
            values = dict(zip(FIELDS, line.split("\t")))
            self.known.setdefault(values["Package"], values)  # of several architectures: the first

    def copyright(self, name):
        """The text that Debian policy demands of each package."""
        path = "/usr/share/doc/%s/copyright" % name
        try:
            with open(path, "rb") as f:
                return f.read()
        except OSError as e:
            raise SystemExit("%s: %s; reinstall the package %s, with its documentation" %
                             (path, e.strerror, name)) from e

    def status(self, name):
        """A paragraph as in dpkg's status file, by which scanners for vulnerabilities know the package."""
        p = self.known[name]
        source = p["source:Package"]
        if p["source:Version"] != p["Version"]:
            source += " (%s)" % p["source:Version"]
        return "".join("%s: %s\n" % row for row in (
            ("Package", name), ("Status", "install ok installed"), ("Priority", p["Priority"]),
            ("Section", p["Section"]), ("Maintainer", p["Maintainer"]),
            ("Architecture", p["Architecture"]), ("Source", source), ("Version", p["Version"]),
            ("Description", p["binary:Summary"]))).encode()
