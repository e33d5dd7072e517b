import time, pytest
from ckan.tests import helpers, factories

from ckanext.harvest.tests.harvesting import *
import ckan.plugins as p
from ckan.lib import search
def t(name, f, n=3):
    best=9
    for _ in range(n):
        a=time.perf_counter(); f(); best=min(best,time.perf_counter()-a)
    print(f"{name} {best*1000:.0f} ms")
@pytest.mark.usefixtures("portal")
def test_x():
    t("reset_db", helpers.reset_db)
    t("clear_index", search.clear_all)
    t("load_all", p.load_all)
    t("unload_all", p.unload_all,1)
    t("load_all", p.load_all,1)
    t("org", factories.Organization)
    org=factories.Organization()["id"]
    t("source", lambda: make_source("ckan", owner_org=org) )
    t("source with org", lambda: make_source("ckan") )
    s=[make_source("ckan")["id"] for _ in range(3)]
    it=iter(s)
    t("start", lambda: start(next(it)))
    import cProfile,pstats
    pr=cProfile.Profile(); pr.enable(); make_source("ckan", owner_org=org); pr.disable()
    pstats.Stats(pr).sort_stats("cumulative").print_stats(45)
    pr=cProfile.Profile(); pr.enable(); helpers.reset_db(); pr.disable()
    pstats.Stats(pr).sort_stats("cumulative").print_stats(15)
    assert 0
