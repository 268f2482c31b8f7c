# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A hand of two joints as a URDF, for tests of what reads model files."""

TWO_JOINTS = """<robot name="hand">
  <link name="palm"><collision><geometry><box size=".1 .1 .02"/></geometry></collision></link>
  <link name="one">
    <inertial><mass value=".05"/><inertia ixx="1e-5" iyy="1e-5" izz="1e-5" ixy="0" ixz="0" iyz="0"/></inertial>
  </link>
  <link name="two">
    <inertial><mass value=".02"/><inertia ixx="1e-5" iyy="1e-5" izz="1e-5" ixy="0" ixz="0" iyz="0"/></inertial>
  </link>
  <joint name="first" type="revolute">
    <parent link="palm"/><child link="one"/><axis xyz="0 1 0"/><limit lower="-.5" upper="1.5" effort="1" velocity="2"/>
  </joint>
  <joint name="second" type="revolute">
    <parent link="one"/><child link="two"/><axis xyz="0 1 0"/><limit lower="0" upper="1" effort="1" velocity="9"/>
  </joint>
</robot>"""
