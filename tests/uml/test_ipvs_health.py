"""ipvs mode: health check node ports, as the other modes' tests ask them."""
import test_health_ports as ports

TAKES = 60  # seconds on an idle machine


class HealthPorts(ports.HealthPorts):
    flags = ["--proxy-mode=ipvs", "--ipvs-min-sync-period=0s"]
    # what is the listener's alone, whatever the mode
    test_one_port_for_two = test_a_port_that_is_taken = None
    test_an_unhealthy_proxy = test_a_thousand = None
