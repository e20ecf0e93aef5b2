"""The bill of materials: an SPDX 2.3 document in JSON (ISO/IEC 5962; https://spdx.github.io/spdx-spec/v2.3/)."""
import hashlib
import json
import re
import time
import urllib.parse

from contents import OURS


def identifier(kind, name):
    """An SPDX id has letters, digits, "." and "-" only."""
    return "SPDXRef-%s-%s" % (kind, re.sub(r"[^A-Za-z0-9.-]", lambda m: "-%02x-" % ord(m[0]), name))


def supplier(maintainer):
    name, email = re.fullmatch(r"(.*?)\s*<(.*)>", maintainer).groups()
    return "Organization: %s (%s)" % (name, email)


def purl(p, release):
    """https://github.com/package-url/purl-spec, type deb"""
    return "pkg:deb/debian/%s@%s?arch=%s&distro=debian-%s" % (
        p["Package"], urllib.parse.quote(p["Version"], safe=""), p["Architecture"], release)


def verification_code(files):
    """Clause 7.9: the SHA-1 of the files' sorted SHA-1 values."""
    sums = sorted(hashlib.sha1(content).hexdigest() for _, content in files)
    return hashlib.sha1("".join(sums).encode()).hexdigest()


def package(name, version, files, **more):
    return dict({
        "SPDXID": identifier("Package", name), "name": name, "versionInfo": version,
        "downloadLocation": "NOASSERTION", "filesAnalyzed": True,
        "packageVerificationCode": {"packageVerificationCodeValue": verification_code(files)},
        "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION",
        "licenseInfoFromFiles": ["NOASSERTION"], "copyrightText": "NOASSERTION",
    }, **more)


def document(c, version, name, digest, release, epoch):
    """C: the Contents. The licence of each package is the file /usr/share/doc/PACKAGE/copyright of the image."""
    by_package, files, relations = {}, [], []
    for path, content in c.tree.files():
        owner = c.origin[path]
        by_package.setdefault(owner, []).append((path, content))
        files.append({
            "SPDXID": identifier("File", path), "fileName": "./" + path,
            "checksums": [{"algorithm": a, "checksumValue": hashlib.new(a, content).hexdigest()}
                          for a in ("SHA1", "SHA256")],
            "licenseConcluded": "NOASSERTION", "licenseInfoInFiles": ["NOASSERTION"],
            "copyrightText": "NOASSERTION",
        })
        relations.append((identifier("Package", owner), "CONTAINS", identifier("File", path)))
    image = identifier("Image", OURS)
    packages = [{
        "SPDXID": image, "name": name, "versionInfo": digest, "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False, "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "CONTAINER",
    }]
    for owner, owned in sorted(by_package.items()):
        if owner == OURS:
            packages.append(package(owner, version, owned, primaryPackagePurpose="APPLICATION"))
        else:
            p = c.packages.known[owner]
            packages.append(package(
                owner, p["Version"], owned, supplier=supplier(p["Maintainer"]),
                sourceInfo="built from the source package %s %s" %
                (p["source:Package"], p["source:Version"]),
                externalRefs=[{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                               "referenceLocator": purl(p, release)}],
                **({"homepage": p["Homepage"]} if p["Homepage"] else {})))
        relations.append((image, "CONTAINS", identifier("Package", owner)))
    relations.append(("SPDXRef-DOCUMENT", "DESCRIBES", image))
    return json.dumps({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": "kube-proxy-%s" % version,
        "documentNamespace": "https://spdx.org/spdxdocs/kube-proxy-%s-%s" %
        (version, digest.replace(":", "-")),
        "creationInfo": {
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "creators": ["Tool: kube-proxy-image-%s" % version]},
        "packages": packages, "files": files,
        "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
                          for a, kind, b in sorted(relations)],
    }, indent=1, sort_keys=True).encode() + b"\n"
