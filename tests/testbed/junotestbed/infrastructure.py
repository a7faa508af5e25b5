"""MariaDB, Kafka, the sites' networks and XRootD servers, and the FTS3 stand-in, as supervised processes."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from junotestbed.settings import SITES, SOURCE_DIR, Settings, Site, TestbedError
from junotestbed.shell import port_answers, run, write
from junotestbed.supervision import Tree


@dataclass(frozen=True)
class Infra:
    """One supervised process of the infrastructure."""

    name: str
    port: int
    answers: Callable[[], bool]
    timeout: float = 60


def define(settings: Settings, tree: Tree, name: str, command: str, port: int, answers: Callable[[], bool]) -> Infra:
    """Write the runit folder of one process and link it."""
    folder = settings.infra / "sv" / name
    write(folder / "run", f"#!/bin/sh\nexec 2>&1\n{command}\n", 0o755)
    write(folder / "log/run", "#!/bin/sh\nexec svlogd .\n", 0o755)
    write(folder / "log/config", "s10000000\nn5\n")
    tree.startup.mkdir(parents=True, exist_ok=True)
    link = tree.startup / name
    if not link.is_symlink():
        link.symlink_to(folder)
    return Infra(name, port, answers)


# --- MariaDB ------------------------------------------------------------------------------------------------------------------


def mariadb(settings: Settings, tree: Tree) -> Infra:
    data, choices, port = settings.run / "mariadb", settings.choices, settings.port("mariadb")
    as_root = ["--user=root"] if os.geteuid() == 0 else []
    write(
        settings.run / "mariadb.cnf",
        f"""[mysqld]
datadir = {data}
socket = {settings.mysql_socket}
pid-file = {settings.run}/mariadb.pid
bind-address = 127.0.0.1
port = {port}
skip-name-resolve
max_connections = 500
innodb_buffer_pool_size = 256M
innodb_log_file_size = 128M
# lists of many LFNs go through temporary memory tables: the default of 16M overflows at 16,000
max_heap_table_size = 256M
tmp_table_size = 256M
max_allowed_packet = 256M
performance_schema = off
""",
    )
    if not (data / "mysql").is_dir():
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True)
        run(
            [
                "mariadb-install-db",
                f"--defaults-file={settings.run}/mariadb.cnf",
                "--skip-test-db",
                "--auth-root-authentication-method=normal",
                *as_root,
            ]
        )
        # --init-file runs at each start, so every statement can be repeated
        statements = [
            f"ALTER USER root@localhost IDENTIFIED BY '{choices.database_root_password}'",
            f"CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY '{choices.database_root_password}'",
            "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION",
            f"CREATE USER IF NOT EXISTS Dirac@'%' IDENTIFIED BY '{choices.database_password}'",
            # an anonymous user would hide Dirac@'%' for connections from this host; roots without a password are nobody's
            "DELETE FROM mysql.global_priv WHERE User='' OR (User='root' AND Host NOT IN ('localhost', '127.0.0.1'))",
            "FLUSH PRIVILEGES",
        ]
        write(settings.run / "mariadb-init.sql", ";\n".join(statements) + ";\n", 0o600)
    command = shlex.join(
        [
            "/usr/sbin/mariadbd",
            f"--defaults-file={settings.run}/mariadb.cnf",
            f"--init-file={settings.run}/mariadb-init.sql",
            *as_root,
        ]
    )
    return define(settings, tree, "mariadb", f"exec {command}", port, lambda: port_answers("127.0.0.1", port))


# --- Kafka --------------------------------------------------------------------------------------------------------------------


def kafka(settings: Settings, tree: Tree) -> Infra:
    jars = settings.tools / "kafka/libs"
    if not any(jars.glob("kafka_*.jar")):
        raise TestbedError(f"no Kafka in {jars}: run 'scripts/testbed up' to install it")
    folder, port, controller = settings.run / "kafka", settings.port("kafka"), settings.port("kafka-controller")
    config = write(
        folder / "server.properties",
        f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/data
num.partitions=3
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=3
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.segment.bytes=134217728
""",
    )
    write(
        folder / "log4j.properties",
        "log4j.rootLogger=WARN, stdout\nlog4j.appender.stdout=org.apache.log4j.ConsoleAppender\n"
        "log4j.appender.stdout.layout=org.apache.log4j.PatternLayout\n"
        "log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n\nlog4j.logger.kafka.server.KafkaRaftServer=INFO\n",
    )
    java = ["java", "-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    java += [f"-Dlog4j.configuration=file:{folder}/log4j.properties", "-cp", f"{jars}/*"]
    if not (folder / "data/meta.properties").exists():
        shutil.rmtree(folder / "data", ignore_errors=True)
        run([*java, "kafka.tools.StorageTool", "format", "-t", "JUNOtestbedJUNOtestbed", "-c", str(config)])
    return define(
        settings,
        tree,
        "kafka",
        f"exec {shlex.join([*java, 'kafka.Kafka', str(config)])}",
        port,
        lambda: port_answers("127.0.0.1", port),
    )


def make_topics(settings: Settings, topics: list[str]) -> None:
    """Create the topics that do not exist yet, three partitions each."""
    from confluent_kafka.admin import AdminClient, NewTopic

    client = AdminClient({"bootstrap.servers": settings.kafka_brokers, "socket.timeout.ms": 10000, "log_level": 3})
    existing = client.list_topics(timeout=30).topics
    new = [NewTopic(topic, 3, 1) for topic in topics if topic not in existing]
    for future in (client.create_topics(new) if new else {}).values():
        future.result(30)


# --- the sites' networks and storages -----------------------------------------------------------------------------------------


class Network:
    """A network namespace for each site, on one bridge; without namespaces all methods but ``cut`` and ``join`` do nothing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.active = settings.choices.netns
        self.base = settings.choices.port_base
        self.bridge = f"jb{self.base}"

    def namespace(self, site: Site) -> str:
        return f"juno{self.base}-{site.se.lower()}"

    def cable(self, site: Site) -> str:
        return f"jv{self.base}x{site.number}"

    def up(self) -> None:
        if not self.active:
            return
        try:
            if not Path(f"/sys/class/net/{self.bridge}").exists():
                run(["ip", "link", "add", self.bridge, "type", "bridge"])
                run(["ip", "addr", "add", f"{self.settings.gateway}/24", "dev", self.bridge])
            run(["ip", "link", "set", self.bridge, "up"])
            existing = run(["ip", "netns", "list"])
            for site in SITES:
                if self.namespace(site) not in existing:
                    self._add(site)
                self.join(site)
        except TestbedError as error:
            raise TestbedError(
                f"network namespaces cannot be made here; 'scripts/testbed up --no-netns' does without.\n{error}"
            ) from None

    def _add(self, site: Site) -> None:
        namespace, cable = self.namespace(site), self.cable(site)
        self._name_the_sites(site)
        run(["ip", "netns", "add", namespace])
        run(["ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace])
        run(["ip", "link", "set", cable, "master", self.bridge])
        run(["ip", "-n", namespace, "addr", "add", f"{self.settings.site_address(site)[0]}/24", "dev", "eth0"])
        run(["ip", "-n", namespace, "link", "set", "eth0", "up"])
        run(["ip", "-n", namespace, "link", "set", "lo", "up"])

    def _name_the_sites(self, own: Site) -> None:
        """Give a namespace an /etc/hosts of its own, in the place where ``ip netns exec`` looks for it.

        XRootD takes an address without a name for "localhost" and then refuses third-party copies now and then, because
        the name of the destination is not the one that the copy was granted to. In its own namespace a site is also what
        this machine's host name stands for.
        """
        lines = ["127.0.0.1 localhost", f"{self.settings.gateway} gateway.testbed"]
        for site in SITES:
            alias = f" {socket.gethostname()}" if site == own else ""
            lines.append(f"{self.settings.site_address(site)[0]} {site.se.lower()}.testbed{alias}")
        folder = self.settings.run / "network" / own.se
        write(folder / "hosts", "\n".join(lines) + "\n")
        # a look-up that goes out of the namespace only costs time: five seconds each, several times a copy
        write(folder / "nsswitch.conf", "hosts: files\n")
        link = Path("/etc/netns") / self.namespace(own)
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(folder)

    def down(self) -> None:
        if not self.active:
            return
        for site in SITES:
            (Path("/etc/netns") / self.namespace(site)).unlink(missing_ok=True)
            for command in (["ip", "link", "del", self.cable(site)], ["ip", "netns", "del", self.namespace(site)]):
                subprocess.run(command, capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True, check=False)

    def cut(self, site: Site) -> None:
        """Cut a site off, as if its line were broken."""
        run(["ip", "link", "set", self.cable(site), "down"])

    def join(self, site: Site) -> None:
        run(["ip", "link", "set", self.cable(site), "up"])


def xrootd_name(site: Site) -> str:
    return f"xrootd-{site.se}"


def xrootd(settings: Settings, tree: Tree, site: Site) -> Infra:
    folder = settings.storage / site.se
    data, admin = folder / "data", folder / "admin"
    for path in (data / site.path.strip("/"), admin):
        path.mkdir(parents=True, exist_ok=True)
    host, port = settings.site_address(site)
    config = write(
        folder / "xrootd.cfg",
        f"""all.export {site.path}
oss.localroot {data}
xrd.port {port}
all.adminpath {admin}
all.pidpath {admin}
xrootd.chksum max 4 adler32
# with many copies at a time this XRootD misses one in thirty grants: the copy then fails after the ttl and is tried again
ofs.tpc autorm ttl 8 8 xfr 40 pgm /usr/bin/xrdcp --server
"""
        # XRootD cannot be bound to one address: without a namespace it at least turns away everybody else
        + ("" if settings.choices.netns else "xrd.allow host 127.0.0.1\nxrd.allow host localhost\n"),
    )
    command = ["/usr/bin/xrootd", "-c", str(config), "-n", "testbed", "-I", "v4"]
    if os.geteuid() == 0:
        # XRootD refuses to run as root: in a user namespace of its own it is somebody else, and the files stay root's
        command = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--", *command]
    if settings.choices.netns:
        command = ["ip", "netns", "exec", Network(settings).namespace(site), *command]
    return define(settings, tree, xrootd_name(site), f"exec {shlex.join(command)}", port, lambda: port_answers(host, port))


# --- the FTS3 stand-in --------------------------------------------------------------------------------------------------------


def fts3_standin(settings: Settings, tree: Tree) -> Infra:
    port = settings.port("fts3")
    security = settings.dirac_root / "etc/grid-security"
    command = [str(settings.venv / "bin/python"), "-m", "fts3_standin", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--cert", str(security / "hostcert.pem"), "--key", str(security / "hostkey.pem")]
    command += ["--ca-dir", str(security / "certificates"), "--state", str(settings.run / "fts3"), "--parallel", "20"]
    # a real FTS3 waits two minutes before it tries a file again: too long for a demonstration
    command += ["--retry-delay", "10"]
    (settings.run / "fts3").mkdir(parents=True, exist_ok=True)
    script = f"export PYTHONPATH={SOURCE_DIR}/tests/testbed\nexec {shlex.join(command)}"
    return define(settings, tree, "fts3-standin", script, port, lambda: port_answers("127.0.0.1", port))


def opensearch_standin(settings: Settings, tree: Tree) -> Infra:
    """Where DIRAC keeps the parameters of jobs."""
    port = settings.port("opensearch-standin")
    command = [str(settings.venv / "bin/python"), "-m", "opensearch_standin", "--port", str(port)]
    command += ["--file", str(settings.run / "opensearch/documents.db")]
    script = f"export PYTHONPATH={SOURCE_DIR}/tests/testbed\nexec {shlex.join(command)}"
    return define(settings, tree, "opensearch-standin", script, port, lambda: port_answers("127.0.0.1", port))


def proxy_renewer(settings: Settings, tree: Tree) -> Infra:
    """Fresh proxies long before the old ones, which live for a day, run out."""
    command = [str(settings.venv / "bin/python"), "-m", "junotestbed", "renew-proxies", "--every", "14400"]
    script = f"export PYTHONPATH={SOURCE_DIR}/tests/testbed\nexec {shlex.join(command)}"
    return define(settings, tree, "proxy-renewer", script, 0, lambda: True)


def mail_sink(settings: Settings, tree: Tree) -> Infra:
    """Where DIRAC's Notification service sends its mails."""
    port = settings.port("mail-sink")
    command = [str(settings.venv / "bin/python"), "-m", "junotestbed.mail_sink"]
    command += ["--port", str(port), "--folder", str(settings.mails)]
    script = f"export PYTHONPATH={SOURCE_DIR}/tests/testbed\nexec {shlex.join(command)}"
    return define(settings, tree, "mail-sink", script, port, lambda: port_answers("127.0.0.1", port))


def define_all(settings: Settings, tree: Tree) -> list[Infra]:
    """Everything that DIRAC needs around it."""
    parts = [mariadb(settings, tree), kafka(settings, tree)] + [xrootd(settings, tree, site) for site in SITES]
    parts += [fts3_standin(settings, tree)] if settings.has_standin else []
    return [*parts, opensearch_standin(settings, tree), mail_sink(settings, tree), proxy_renewer(settings, tree)]
