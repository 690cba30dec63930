#!/usr/bin/env python3
"""Prints COUNT rows as a VOS3000 billing server writes them."""
import sys

for number in range(int(sys.argv[1])):
    start = 1_775_800_888_533 + number
    print(f'"12025550117","12025550117","447700900999","900447700900999","192.0.2.12","g729","GW-IN-CLIENT002",'
          f'"Asterisk PBX","12025550117",1,"203.0.113.22","g729","GW-OUT-UK-B","","447700900999",1,1,5,0,{start},{start + 147_000},'
          f'8802,8502,147,"",180,0.0368,0.0,0.0,0,0.0,0.0,"CLIENT002","Client Two GmbH","44",0.0,0.0,0.0,0,"","",{number},'
          f'"MBX3000",6288012166477870001,"13b258a1@192.0.2.12","13b258a8@203.0.113.5",1,1,200,0,0,-1')
