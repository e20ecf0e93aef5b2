"""Credentials renewed on disk under a watcher that runs: watches go on, what follows has the new."""
import os
import re
import shutil
import subprocess
import time
import unittest

import test_api
from apiserver import Stub, service
from test_api import SERVICES, wait


class Renewal(test_api.Base):
    def write(self, name, content):
        """Whole at once, as kubelets and certificate managers do."""
        with open(self.path(name + ".new"), "w", encoding="ascii") as f:
            f.write(content)
        os.rename(self.path(name + ".new"), self.path(name))
        return self.path(name)

    def copy(self, name, source):
        with open(source, encoding="ascii") as f:
            return self.write(name, f.read())

    def other(self):
        """Another cluster's authorities and certificates."""
        other = Stub()
        self.addCleanup(other.close)
        return other

    def request_after(self, w, end):
        """The watch of services that follows once END has ended the present one."""
        before = len(self.watches())
        time.sleep(1)  # a watch that ends within a second is followed by a wait
        end()
        wait(lambda: len(self.watches()) > before, "another watch")
        return self.watches()[before]

    def watches(self):
        return self.stub.seen("services", "watch")

    def check_no_relist(self, w):
        self.assertEqual(w.synced[SERVICES], 1, "resumed, not listed again")

    def test_projected_token(self):
        """As the kubelet rotates it: the file is a link by "..data", which is swapped."""
        for i in ("1", "2"):
            os.mkdir(self.path(".." + i))
            self.write("..%s/token" % i, "token-%s\n" % i)
        os.symlink("..1", self.path("..data"))
        os.symlink("..data/token", self.path("token"))
        self.stub.tokens = {"token-1"}
        w = self.synced_watcher(token_file=self.path("token"))
        os.symlink("..2", self.path("..data_tmp"))
        os.rename(self.path("..data_tmp"), self.path("..data"))
        shutil.rmtree(self.path("..1"))
        wait(lambda: w.said("a new token"), "it is read by the event, not by a request")
        self.stub.tokens = {"token-2"}
        self.stub.put(service("b", "10.96.0.2"))
        self.wait_service(w, "b")  # by the watch that began with the old one
        self.assertEqual(len(self.watches()), 1)
        again = self.request_after(w, self.stub.end_watches)
        self.assertEqual(again["headers"]["Authorization"], "Bearer token-2")
        self.assertFalse(w.said("HTTP 401"))
        self.assertFalse(w.said("token-1") + w.said("token-2"), "no secret in the log")
        self.check_no_relist(w)

    def test_refused_token_is_read_again(self):
        """Even if no event told: the directory's watch is gone with the directory."""
        os.mkdir(self.path("mount"))
        self.write("mount/token", "token-1")
        self.stub.tokens = {"token-1"}
        w = self.synced_watcher(token_file=self.path("mount/token"))
        with open(self.path("mount/token"), "r+", encoding="ascii") as f:
            f.write("token-2")  # neither renamed nor, for now, closed
            f.flush()
            self.stub.tokens = {"token-2"}
            self.request_after(w, self.stub.end_watches)
            wait(lambda: w.said("HTTP 401"), "the old one is refused")
            # by the first of the four that is refused
            wait(lambda: w.said("watch works again"), "the new one is taken")
        self.check_no_relist(w)

    def test_client_certificate(self):
        self.stub.tokens = {"nobody has it"}
        other = self.other()
        self.stub.context.load_verify_locations(other.client_ca_file)
        cert, key = self.copy("c", self.stub.client_cert), self.copy("k", self.stub.client_key)
        w = self.synced_watcher(client_cert=(cert, key))
        first = self.stub.seen("services")[0]["client"]
        self.copy("c", other.client_cert)
        wait(lambda: w.said("another certificate's"), "half a pair is told")
        again = self.request_after(w, self.stub.drop)
        self.assertEqual(again["client"], first, "the old pair stays, whole")
        self.copy("k", other.client_key)
        wait(lambda: w.said("valid until"), "the new pair is taken")
        self.stub.put(service("b", "10.96.0.2"))
        self.wait_service(w, "b")  # by the watch that began with the old one
        again = self.request_after(w, self.stub.end_watches)
        self.assertNotEqual(again["client"], first)
        self.assertNotEqual(again["client"], "")
        self.check_no_relist(w)

    def test_one_file_for_certificate_and_key(self):
        """As the kubelet's kubelet-client-current.pem, a link to the latest."""
        self.stub.tokens = {"nobody has it"}
        other = self.other()
        self.stub.context.load_verify_locations(other.client_ca_file)
        for name, of in (("1.pem", self.stub), ("2.pem", other)):
            with open(of.client_cert, encoding="ascii") as c, \
                    open(of.client_key, encoding="ascii") as k:
                self.write(name, c.read() + k.read())
        os.symlink("1.pem", self.path("current.pem"))
        w = self.synced_watcher(client_cert=(self.path("current.pem"), self.path("current.pem")))
        first = self.stub.seen("services")[0]["client"]
        os.symlink("2.pem", self.path("new"))
        os.rename(self.path("new"), self.path("current.pem"))
        wait(lambda: len(w.said("valid until")) == 2, "the new pair is taken")
        again = self.request_after(w, self.stub.end_watches)
        self.assertNotIn(again["client"], ("", first))
        self.check_no_relist(w)

    def test_authority(self):
        other = self.other()
        ca = self.copy("ca", self.stub.ca_file)
        w = self.synced_watcher(certificate_authority=ca)
        self.copy("ca", other.ca_file)
        wait(lambda: w.said("new certificate authorities"), "it is read")
        self.stub.context.load_cert_chain(other.file("server.crt"), other.file("server.key"))
        self.request_after(w, self.stub.drop)
        self.assertFalse(w.said("does not answer"))
        # and nobody else is believed any more
        self.stub.context.load_cert_chain(self.stub.file("server.crt"), self.stub.file("server.key"))
        time.sleep(1)
        self.stub.drop()
        wait(lambda: w.said("check certificate-authority"), "the old authority is not believed")
        with open(ca, "w", encoding="ascii") as f:
            f.write("-----BEGIN CERTIFICATE-----\nMIIB\n")
        wait(lambda: w.said("a certificate is broken or incomplete"), "half a file is told")
        self.copy("ca", self.stub.ca_file)
        wait(lambda: w.said("answers again"), "what is good is taken", seconds=20)
        self.check_no_relist(w)

    def test_pair_that_is_no_good_at_start(self):
        """It waits, without sending anything, and goes on when there is one."""
        self.stub.tokens = {"nobody has it"}
        cert, key = self.copy("c", self.stub.client_cert), self.write("k", "")
        w = self.watcher(client_cert=(cert, key))
        wait(lambda: len(w.said("next try")) > 1, "it waits")
        self.assertEqual(self.stub.requests, [])
        self.assertEqual(len(w.said("no complete PEM private key")), 1)
        self.copy("k", self.stub.client_key)
        self.wait_synced(w)

    def test_what_was_refused_is_tried_at_once(self):
        """The new token ends the back-off, which is at eight seconds or more by then."""
        self.stub.tokens = {"new"}
        w = self.watcher(token_file=self.write("token", "old"))
        wait(lambda: len(w.said("next try")) >= 4, "it is refused", seconds=30)
        pause = max(int(re.search(r"next try in (\d+) ms", l)[1]) for l in w.said("next try")) / 1000
        began = time.monotonic()
        self.write("token", "new")
        wait(lambda: w.synced[SERVICES], "synced")
        self.assertLess(time.monotonic() - began, pause)

    def test_expired_certificate_is_told(self):
        """The one thing here that depends on the date."""
        subprocess.run(
            ["openssl", "x509", "-req", "-in", self.stub.file("client.csr"),
             "-CA", self.stub.client_ca_file, "-CAkey", self.stub.file("client-ca.key"),
             "-CAcreateserial", "-days", "-1", "-out", self.path("c")],
            check=True, capture_output=True)
        w = self.watcher(client_cert=(self.path("c"), self.stub.client_key))
        wait(lambda: len(w.said("next try")) > 1, "it is refused")
        self.assertEqual(len(w.said("was valid until")), 1)


if __name__ == "__main__":
    unittest.main()
